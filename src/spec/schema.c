/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/schema.h"

#include "basic/fd.h"
#include "basic/parse.h"

#define ID128_LENGTH 32U

const Field *schema_find(const Schema *schema, const char *key)
{
        for (const Field *f = schema->fields; f->key; f++)
                if (streq(f->key, key))
                        return f;
        return NULL;
}

static void set_empty(const Schema *schema, void *object)
{
        for (const Field *f = schema->fields; f->key; f++)
                if (f->type == FIELD_FD)
                        *(int *) field_of(f, object) = -EBADF;
}

void *schema_new(const Schema *schema)
{
        void *object = schema ? calloc(1, schema->size) : NULL;

        if (object)
                set_empty(schema, object);
        return object;
}

static size_t *count_of(const Field *f, const void *object)
{
        return (size_t *) ((uint8_t *) object + f->count_offset);
}

static void clear_array(const Field *f, void *object)
{
        uint8_t *items = *(void **) field_of(f, object);

        for (size_t i = 0; i < *count_of(f, object); i++)
                schema_clear(f->element, items + i * f->element->size);
        free(items);
}

void schema_clear(const Schema *schema, void *object)
{
        if (!object)
                return;
        for (const Field *f = schema->fields; f->key; f++) {
                void *p = field_of(f, object);
                switch (f->type) {
                case FIELD_STRING:
                case FIELD_JOB:
                case FIELD_MACHINE:
                case FIELD_INTS:
                        free(*(void **) p);
                        break;
                case FIELD_STRINGS:
                case FIELD_PAIRS:
                        strv_free(*(Strv *) p);
                        break;
                case FIELD_ARRAY:
                        clear_array(f, object);
                        break;
                case FIELD_FD:
                        fd_close(*(int *) p);
                        break;
                default:
                        break;
                }
        }
        memset(object, 0, schema->size);
        set_empty(schema, object);
}

void schema_free(const Schema *schema, void *object)
{
        if (schema)
                schema_clear(schema, object);
        free(object);
}

/* --- to JSON ------------------------------------------------------------------------------------------- */

static json_t *strings_to_json(const Strv l)
{
        json_t *list = l ? json_array() : NULL;

        STRV_FOREACH (s, l)
                json_array_append_new(list, json_string(*s));
        return list;
}

static json_t *ints_to_json(const Field *f, const void *object)
{
        const int32_t *numbers = *(void **) field_of(f, object);
        size_t n = *count_of(f, object);
        json_t *list = n > 0 ? json_array() : NULL;

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, json_integer(numbers[i]));
        return list;
}

static json_t *array_to_json(const Field *f, const void *object)
{
        const uint8_t *items = *(void **) field_of(f, object);
        size_t n = *count_of(f, object);
        json_t *list = n > 0 ? json_array() : NULL;

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, schema_to_json(f->element, items + i * f->element->size));
        return list;
}

/* Returns NULL for a field that has not been set. */
static json_t *value_to_json(const Field *f, const void *object)
{
        const void *p = field_of(f, object);

        switch (f->type) {
        case FIELD_STRING:
        case FIELD_JOB:
        case FIELD_MACHINE:
                return *(char *const *) p ? json_string(*(char *const *) p) : NULL;
        case FIELD_ID128:
                return *(const char *) p ? json_string(p) : NULL;
        case FIELD_BOOL:
                return *(const bool *) p ? json_true() : NULL;
        case FIELD_CHOICE:
                return *(const int *) p ? json_boolean(*(const int *) p > 0) : NULL;
        case FIELD_INT:
                return *(const int32_t *) p ? json_integer(*(const int32_t *) p) : NULL;
        case FIELD_UINT:
                return *(const uint32_t *) p ? json_integer(*(const uint32_t *) p) : NULL;
        case FIELD_INT64:
        case FIELD_UINT64:
                return *(const int64_t *) p ? json_integer(*(const int64_t *) p) : NULL;
        case FIELD_DOUBLE:
                return *(const double *) p > 0 ? json_real(*(const double *) p) : NULL;
        case FIELD_STRINGS:
        case FIELD_PAIRS:
                return strings_to_json(*(const Strv *) p);
        case FIELD_INTS:
                return ints_to_json(f, object);
        case FIELD_ARRAY:
                return array_to_json(f, object);
        default:
                return NULL;
        }
}

json_t *schema_to_json(const Schema *schema, const void *object)
{
        json_t *o = json_object();

        for (const Field *f = schema->fields; o && f->key; f++) {
                json_t *value = value_to_json(f, object);
                if (value)
                        json_object_set_new(o, f->key, value);
        }
        return o;
}

/* --- from JSON ----------------------------------------------------------------------------------------- */

static int strings_from_json(const json_t *value, Strv *ret)
{
        const json_t *item;
        size_t i;
        int r;

        if (!json_is_array(value))
                return -EINVAL;
        json_array_foreach (value, i, item) {
                r = json_is_string(item) ? strv_append(ret, json_string_value(item)) : -EINVAL;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int array_from_json(const Field *f, const json_t *value, void *object, const char **ret_key)
{
        size_t n = json_array_size(value), i;
        const json_t *item;
        uint8_t *items;

        if (!json_is_array(value))
                return -EINVAL;
        if (n == 0)
                return 0;
        items = calloc(n, f->element->size);
        OOM_CHECK(items);
        *(void **) field_of(f, object) = items;
        *count_of(f, object) = n;
        for (i = 0; i < n; i++)
                set_empty(f->element, items + i * f->element->size);
        json_array_foreach (value, i, item) {
                int r = schema_from_json(f->element, item, false, items + i * f->element->size, ret_key);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int integer_from_json(const json_t *value, int64_t min, int64_t max, int64_t *ret)
{
        if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
                return -EINVAL;
        *ret = json_integer_value(value);
        return 0;
}

static int ints_from_json(const Field *f, const json_t *value, void *object)
{
        size_t n = json_array_size(value), i;
        const json_t *item;
        int32_t *numbers;

        if (!json_is_array(value))
                return -EINVAL;
        if (n == 0)
                return 0;
        numbers = calloc(n, sizeof(int32_t));
        OOM_CHECK(numbers);
        *(void **) field_of(f, object) = numbers;
        *count_of(f, object) = n;
        json_array_foreach (value, i, item) {
                int64_t number;
                int r = integer_from_json(item, INT32_MIN, INT32_MAX, &number);
                if (r < 0)
                        return r;
                numbers[i] = (int32_t) number;
        }
        return 0;
}

static int id128_from_json(const json_t *value, char ret[static ID128_LENGTH + 1])
{
        const char *text = json_string_value(value);
        uint8_t id[16];

        if (!text || parse_id128(text, id) < 0)
                return -EINVAL;
        for (size_t i = 0; i < sizeof(id); i++)
                snprintf(ret + 2 * i, 3, "%02x", id[i]);
        return 0;
}

static int value_from_json(const Field *f, const json_t *value, void *object, const char **ret_key)
{
        void *p = field_of(f, object);
        int64_t number;
        int r;

        switch (f->type) {
        case FIELD_STRING:
        case FIELD_JOB:
        case FIELD_MACHINE:
                return json_is_string(value) ? free_and_strdup(p, json_string_value(value)) : -EINVAL;
        case FIELD_ID128:
                return id128_from_json(value, p);
        case FIELD_BOOL:
                *(bool *) p = json_is_true(value);
                return json_is_boolean(value) ? 0 : -EINVAL;
        case FIELD_CHOICE:
                *(int *) p = json_is_true(value) ? 1 : -1;
                return json_is_boolean(value) ? 0 : -EINVAL;
        case FIELD_INT:
                r = integer_from_json(value, INT32_MIN, INT32_MAX, &number);
                if (r >= 0)
                        *(int32_t *) p = (int32_t) number;
                return r;
        case FIELD_UINT:
                r = integer_from_json(value, 0, UINT32_MAX, &number);
                if (r >= 0)
                        *(uint32_t *) p = (uint32_t) number;
                return r;
        case FIELD_INT64:
        case FIELD_UINT64:
                return integer_from_json(value, INT64_MIN, INT64_MAX, p);
        case FIELD_DOUBLE:
                *(double *) p = json_number_value(value);
                return json_is_number(value) ? 0 : -EINVAL;
        case FIELD_STRINGS:
        case FIELD_PAIRS:
                return strings_from_json(value, p);
        case FIELD_INTS:
                return ints_from_json(f, value, object);
        case FIELD_ARRAY:
                return array_from_json(f, value, object, ret_key);
        default:
                return -EINVAL; /* JSON cannot carry a descriptor */
        }
}

int schema_from_json(const Schema *schema, const json_t *json, bool lenient, void *object,
                     const char **ret_key)
{
        const char *key;
        json_t *value;

        *ret_key = "";
        if (json && !json_is_null(json) && !json_is_object(json))
                return -EINVAL;
        json_object_foreach ((json_t *) json, key, value) {
                const Field *f = schema_find(schema, key);
                int r = !f                    ? (lenient ? 0 : -EINVAL)
                        : json_is_null(value) ? 0
                                              : value_from_json(f, value, object, ret_key);
                if (r < 0) {
                        if (isempty(*ret_key))
                                *ret_key = key;
                        return r;
                }
        }
        return 0;
}

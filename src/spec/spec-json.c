/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/spec.h"

/* If a list was reset, the first entry in JSON is empty, so that it resets values from sources of lower
 * priority. */
static json_t *setting_to_json(const Spec *spec, const Setting *setting, bool all)
{
        json_t *value = setting->type->to_json(setting->type, (const uint8_t *) spec + setting->offset);

        if (!all && setting->type->list && spec->reset[setting - settings])
                json_array_insert_new(value, 0, json_string(""));
        return value;
}

static json_t *section_to_json(const Spec *spec, SpecSection section, bool all)
{
        json_t *object = json_object();

        for (size_t i = 0; i < n_settings; i++)
                if (settings[i].section == section && (all || spec->source[i] != SPEC_SOURCE_DEFAULT))
                        json_object_set_new(object, settings[i].key,
                                            setting_to_json(spec, settings + i, all));
        return object;
}

/* A property with one assignment is a string, a property with several is a list. */
static json_t *resources_to_json(const Spec *spec)
{
        json_t *object = json_object();

        STRV_FOREACH (s, spec->resources) {
                size_t n = strcspn(*s, "=");
                _cleanup_free_ char *key = strndup(*s, n);
                if (!key)
                        return json_decref(object), NULL;

                json_t *value = json_string(*s + n + 1), *present = json_object_get(object, key);
                if (json_is_array(present))
                        json_array_append_new(present, value);
                else if (present)
                        json_object_set_new(object, key, json_pack("[Oo]", present, value));
                else
                        json_object_set_new(object, key, value);
        }
        return object;
}

json_t *spec_to_json(const Spec *spec, bool all)
{
        json_t *json = json_object();

        if (spec->name)
                json_object_set_new(json, "Name", json_string(spec->name));
        for (SpecSection s = 0; s < _SPEC_SECTION_MAX; s++) {
                json_t *object = section_to_json(spec, s, all);
                if (json_object_size(object) > 0)
                        json_object_set_new(json, spec_section_name(s), object);
                else
                        json_decref(object);
        }
        if (spec->resources)
                json_object_set_new(json, "Resources", resources_to_json(spec));
        return json;
}

char *spec_to_json_text(const Spec *spec, bool all, size_t flags)
{
        json_t *json = spec_to_json(spec, all);
        char *text = json ? json_dumps(json, flags) : NULL;

        json_decref(json);
        return text;
}

/* Returns the text form of a scalar, or NULL for lists and objects. */
static char *scalar_to_text(const json_t *value)
{
        if (json_is_string(value))
                return strdup(json_string_value(value));
        if (json_is_boolean(value))
                return strdup(json_is_true(value) ? "yes" : "no");
        if (json_is_integer(value))
                return strf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
        if (json_is_null(value))
                return strdup("");
        return NULL;
}

static int array_to_strv(json_t *array, Strv *ret)
{
        _cleanup_strv_ Strv l = NULL;
        size_t i;
        json_t *value;

        json_array_foreach (array, i, value) {
                char *text = scalar_to_text(value);
                if (!text)
                        return -EINVAL;
                int r = strv_consume(&l, text);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

static int assign_json(Spec *spec, const Setting *setting, SpecSource source, json_t *value,
                       char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ Strv list = NULL;
        int r;

        if (!json_is_array(value)) {
                text = scalar_to_text(value);
                if (!text)
                        return set_invalid(ret_error, "Invalid value for %s: expected %s.", setting->key,
                                           setting->type->expects);
                return spec_assign(spec, setting, source, text, ret_error);
        }

        r = array_to_strv(value, &list);
        if (r == -EINVAL)
                return set_invalid(ret_error, "Invalid list for %s: expected strings.", setting->key);
        if (r < 0)
                return r;

        if (setting->type->list) {
                STRV_FOREACH (s, list) {
                        r = spec_assign(spec, setting, source, *s, ret_error);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        text = strv_join_words(list);
        OOM_CHECK(text);
        return spec_assign(spec, setting, source, text, ret_error);
}

static int assign_json_resource(Spec *spec, const char *key, json_t *value, char **ret_error)
{
        _cleanup_strv_ Strv list = NULL;
        int r;

        if (json_is_array(value))
                r = array_to_strv(value, &list);
        else {
                char *text = scalar_to_text(value);
                r = text ? strv_consume(&list, text) : -EINVAL;
        }
        if (r == -EINVAL)
                return set_invalid(ret_error,
                                   "Invalid value for %.40s: expected a string or a list of them.", key);
        if (r < 0)
                return r;

        STRV_FOREACH (s, list) {
                _cleanup_free_ char *assignment = strf("%s=%s", key, *s);
                OOM_CHECK(assignment);
                r = spec_assign_resource(spec, assignment, ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int assign_json_section(Spec *spec, SpecSource source, const char *name, json_t *object,
                               char **ret_error)
{
        SpecSection section = 0;
        const char *key;
        json_t *value;
        int r;

        while (section < _SPEC_SECTION_MAX && !streq(name, spec_section_name(section)))
                section++;
        if (section == _SPEC_SECTION_MAX && !streq(name, "Resources"))
                return set_invalid(ret_error, "Unknown section '%.40s'.", name);
        if (!json_is_object(object))
                return set_invalid(ret_error, "Section '%s' is no object.", name);

        json_object_foreach (object, key, value) {
                if (section == _SPEC_SECTION_MAX)
                        r = assign_json_resource(spec, key, value, ret_error);
                else {
                        const Setting *setting = setting_find(section, key);
                        if (!setting)
                                return set_invalid(ret_error, "Unknown key '%.40s' in section '%s'.", key,
                                                   name);
                        r = assign_json(spec, setting, source, value, ret_error);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int spec_from_json(Spec *spec, SpecSource source, json_t *json, char **ret_error)
{
        const char *key;
        json_t *value;
        int r;

        if (!json_is_object(json))
                return set_invalid(ret_error, "A spec is a JSON object.");
        json_object_foreach (json, key, value) {
                if (!streq(key, "Name"))
                        r = assign_json_section(spec, source, key, value, ret_error);
                else if (json_is_string(value))
                        r = free_and_strdup(&spec->name, json_string_value(value));
                else
                        return set_invalid(ret_error, "Name is no string.");
                if (r < 0)
                        return r;
        }
        return 0;
}

int spec_from_json_text(Spec *spec, SpecSource source, const char *text, char **ret_error)
{
        json_error_t error;
        size_t size = strlen(text);
        int r;

        if (size > SPEC_FILE_MAX)
                return set_invalid(ret_error, "Spec is larger than %u bytes.", SPEC_FILE_MAX);
        json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        if (!json)
                return set_invalid(ret_error, "Not JSON: line %i, column %i: %s.", error.line, error.column,
                                   error.text);
        r = spec_from_json(spec, source, json, ret_error);
        json_decref(json);
        return r;
}

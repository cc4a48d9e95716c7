/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "basic/names.h"
#include "basic/parse.h"
#include "spec/types.h"

static void string_clear(void *field)
{
        char **s = field;
        free(*s);
        *s = NULL;
}

static int string_parse(void *field, const char *value)
{
        return str_is_clean(value) ? free_and_strdup(field, value) : -EINVAL;
}

static json_t *string_to_json(const void *field)
{
        char *const *s = field;
        return *s ? json_string(*s) : json_null();
}

const SettingType setting_type_string = {
        .expects = "a text without control characters",
        .parse = string_parse,
        .to_json = string_to_json,
        .clear = string_clear,
};

static int hostname_parse(void *field, const char *value)
{
        return machine_name_valid(value) ? free_and_strdup(field, value) : -EINVAL;
}

const SettingType setting_type_hostname = {
        .expects = "a host name",
        .parse = hostname_parse,
        .to_json = string_to_json,
        .clear = string_clear,
};

static int id128_parse(void *field, const char *value)
{
        uint8_t id[16];
        char text[33];

        if (parse_id128(value, id) < 0)
                return -EINVAL;
        for (size_t i = 0; i < sizeof(id); i++)
                snprintf(text + i * 2, 3, "%02x", id[i]);
        if (strspn(text, "0") == 32)
                return -EINVAL;
        return free_and_strdup(field, text);
}

const SettingType setting_type_id128 = {
        .expects = "32 hexadecimal digits or a UUID, not all zero",
        .parse = id128_parse,
        .to_json = string_to_json,
        .clear = string_clear,
};

static int boolean_parse(void *field, const char *value)
{
        int r = parse_boolean(value);
        if (r >= 0)
                *(bool *) field = r;
        return r < 0 ? r : 0;
}

static json_t *boolean_to_json(const void *field)
{
        return json_boolean(*(const bool *) field);
}

static void boolean_clear(void *field)
{
        *(bool *) field = false;
}

const SettingType setting_type_boolean = {
        .expects = "a boolean (yes or no)",
        .parse = boolean_parse,
        .to_json = boolean_to_json,
        .clear = boolean_clear,
};

static int signal_parse(void *field, const char *value)
{
        int r = signal_from_string(value);
        if (r >= 0)
                *(int *) field = r;
        return r < 0 ? r : 0;
}

static json_t *signal_to_json(const void *field)
{
        int sig = *(const int *) field;
        char name[SIGNAL_NAME_MAX];

        return sig > 0 ? json_string(signal_to_string(sig, name)) : json_null();
}

static void signal_clear(void *field)
{
        *(int *) field = 0;
}

const SettingType setting_type_signal = {
        .expects = "the name or number of a signal",
        .parse = signal_parse,
        .to_json = signal_to_json,
        .clear = signal_clear,
};

static json_t *strv_to_json(const void *field)
{
        const Strv l = *(const Strv *) field;
        json_t *array = json_array();

        STRV_FOREACH (s, l)
                json_array_append_new(array, json_string(*s));
        return array;
}

static void strv_clear(void *field)
{
        strv_free(*(Strv *) field);
        *(Strv *) field = NULL;
}

/* A command line is assigned as a whole: the later one counts. From JSON, where each word comes for itself, the
 * reader joins them first. */
static int words_parse(void *field, const char *value)
{
        Strv words;
        int r;

        r = strv_split_words(value, &words);
        if (r < 0)
                return r;
        strv_clear(field);
        *(Strv *) field = words;
        return 0;
}

const SettingType setting_type_words = {
        .expects = "words, quoted where they contain blanks",
        .parse = words_parse,
        .to_json = strv_to_json,
        .clear = strv_clear,
};

/* Only names that a shell can assign to. A value may hold anything but control characters: a line break in one
 * becomes another variable in many a parser. */
static bool environment_assignment_valid(const char *s)
{
        size_t n = strcspn(s, "=");

        if (n == 0 || s[n] != '=' || isdigit((unsigned char) s[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) s[i]) && s[i] != '_')
                        return false;
        return str_is_clean(s + n + 1);
}

static int environment_parse(void *field, const char *value)
{
        return environment_assignment_valid(value) ? strv_env_set(field, value) : -EINVAL;
}

const SettingType setting_type_environment = {
        .expects = "NAME=VALUE, the value without control characters",
        .list = true,
        .parse = environment_parse,
        .to_json = strv_to_json,
        .clear = strv_clear,
};

static const char *const users_mode_names[_USERS_MODE_MAX] = {
        [USERS_PICK] = "pick",
        [USERS_IDENTITY] = "identity",
        [USERS_HOST] = "no",
};

static int users_parse(void *field, const char *value)
{
        PrivateUsers users = { .size = USERS_RANGE_SIZE };
        int b = strlen(value) > 1 ? parse_boolean(value) : -EINVAL; /* "0" and "1" are bases */

        if (b >= 0)
                users.mode = b ? USERS_PICK : USERS_HOST;
        else if (streq(value, "pick"))
                users.mode = USERS_PICK;
        else if (streq(value, "identity"))
                users.mode = USERS_IDENTITY;
        else {
                char base[16] = {};
                size_t n = strcspn(value, ":");
                uint64_t size = USERS_RANGE_SIZE;

                users.mode = USERS_EXPLICIT;
                if (n >= sizeof(base))
                        return -EINVAL;
                memcpy(base, value, n);
                if (parse_uid(base, &users.base) < 0)
                        return -EINVAL;
                if (value[n] == ':' && parse_u64(value + n + 1, 1, UINT32_MAX - 1, &size) < 0)
                        return -EINVAL;
                if (size > UINT32_MAX - users.base)
                        return -ERANGE;
                users.size = size;
        }
        *(PrivateUsers *) field = users;
        return 0;
}

static json_t *users_to_json(const void *field)
{
        const PrivateUsers *users = field;

        if (users->mode == USERS_EXPLICIT)
                return json_sprintf("%u:%u", users->base, users->size);
        return json_string(users_mode_names[users->mode]);
}

static void users_clear(void *field)
{
        *(PrivateUsers *) field = (PrivateUsers){ .mode = USERS_PICK, .size = USERS_RANGE_SIZE };
}

const SettingType setting_type_users = {
        .expects = "pick, identity, no, or BASE[:SIZE]",
        .parse = users_parse,
        .to_json = users_to_json,
        .clear = users_clear,
};

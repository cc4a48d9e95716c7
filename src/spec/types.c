/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <limits.h>

#include "basic/capability.h"
#include "basic/names.h"
#include "basic/parse.h"
#include "basic/root-hash.h"
#include "spec/cdi-name.h"
#include "spec/mount.h"
#include "spec/types.h"

/* Strings */

static void string_clear(void *field)
{
        char **s = field;
        free(*s);
        *s = NULL;
}

static int string_parse(const SettingType *type, void *field, const char *value)
{
        return type->check(value) ? free_and_strdup(field, value) : -EINVAL;
}

static json_t *string_to_json(const SettingType *type, const void *field)
{
        char *const *s = field;
        (void) type;
        return *s ? json_string(*s) : json_null();
}

#define DEFINE_STRING_TYPE(name, what, arg, check_value) \
        const SettingType setting_type_##name = {        \
                .expects = what,                         \
                .argument = arg,                         \
                .check = check_value,                    \
                .parse = string_parse,                   \
                .to_json = string_to_json,               \
                .clear = string_clear,                   \
        }

static bool is_normal_path(const char *value)
{
        return path_is_normal(value);
}

static bool is_root_hash(const char *value)
{
        return root_hash_is_hex(value) || streq(value, "signed") || streq(value, "no") ||
               streq(value, "auto");
}

/* Whether a value is a user: a name as in passwd(5), or a number. No group can be given: the program gets
 * the user's own groups. */
static bool is_user(const char *value)
{
        uid_t uid;

        if (isdigit((unsigned char) value[0]))
                return parse_uid(value, &uid) >= 0;
        if (strlen(value) > 255 || !(isalpha((unsigned char) value[0]) || value[0] == '_'))
                return false;
        for (const char *p = value; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("_-.", *p))
                        return false;
        return true;
}

static bool is_cpu_list(const char *value)
{
        uint8_t mask[1024];
        return parse_number_set(value, mask, sizeof(mask), NULL) >= 0;
}

DEFINE_STRING_TYPE(string, "a text without control characters", "TEXT", str_is_clean);
DEFINE_STRING_TYPE(hostname, "a host name", "NAME", machine_name_valid);
DEFINE_STRING_TYPE(path, "an absolute path without '..'", "PATH", is_normal_path);
DEFINE_STRING_TYPE(root_hash, "a root hash in hexadecimal, signed, no or auto", "HASH", is_root_hash);
DEFINE_STRING_TYPE(user, "the name or number of a user", "USER", is_user);
DEFINE_STRING_TYPE(cpu_list, "numbers and ranges, such as 0-3,7", "LIST", is_cpu_list);

static int id128_parse(const SettingType *type, void *field, const char *value)
{
        uint8_t id[16];
        char text[33];

        (void) type;
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
        .argument = "ID",
        .parse = id128_parse,
        .to_json = string_to_json,
        .clear = string_clear,
};

/* Numbers and words */

static int boolean_parse(const SettingType *type, void *field, const char *value)
{
        int r = parse_boolean(value);
        (void) type;
        if (r >= 0)
                *(bool *) field = r;
        return r < 0 ? r : 0;
}

static json_t *boolean_to_json(const SettingType *type, const void *field)
{
        (void) type;
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

static void int_clear(void *field)
{
        *(int *) field = 0;
}

static int signal_parse(const SettingType *type, void *field, const char *value)
{
        int r = signal_from_string(value);
        (void) type;
        if (r >= 0)
                *(int *) field = r;
        return r < 0 ? r : 0;
}

static json_t *signal_to_json(const SettingType *type, const void *field)
{
        int sig = *(const int *) field;
        char name[SIGNAL_NAME_MAX];

        (void) type;
        return sig > 0 ? json_string(signal_to_string(sig, name)) : json_null();
}

const SettingType setting_type_signal = {
        .expects = "the name or number of a signal",
        .argument = "SIGNAL",
        .parse = signal_parse,
        .to_json = signal_to_json,
        .clear = int_clear,
};

static int oom_score_parse(const SettingType *type, void *field, const char *value)
{
        bool negative = value[0] == '-';
        uint64_t v;
        int r = parse_u64(value + negative, 0, 1000, &v);

        (void) type;
        if (r >= 0)
                *(int *) field = negative ? -(int) v : (int) v;
        return r;
}

static json_t *oom_score_to_json(const SettingType *type, const void *field)
{
        int v = *(const int *) field;
        (void) type;
        return v == INT_MIN ? json_null() : json_integer(v);
}

static void oom_score_clear(void *field)
{
        *(int *) field = INT_MIN;
}

const SettingType setting_type_oom_score = {
        .expects = "a number from -1000 to 1000",
        .argument = "NUMBER",
        .parse = oom_score_parse,
        .to_json = oom_score_to_json,
        .clear = oom_score_clear,
};

/* Enumerations. Fields are enums, which have the size of an int. Booleans are accepted for the words yes, no
 * and off. */
static int enum_parse(const SettingType *type, void *field, const char *value)
{
        for (int i = 0; type->values[i]; i++)
                if (streq(type->values[i], value)) {
                        *(int *) field = i;
                        return 0;
                }

        int b = parse_boolean(value);
        const char *word = b > 0 ? "yes" : b == 0 ? "no" : NULL;
        for (int i = 0; word && type->values[i]; i++)
                if (streq(type->values[i], word) || (b == 0 && streq(type->values[i], "off"))) {
                        *(int *) field = i;
                        return 0;
                }
        return -EINVAL;
}

static json_t *enum_to_json(const SettingType *type, const void *field)
{
        return json_string(type->values[*(const int *) field]);
}

#define DEFINE_ENUM_TYPE(name, what, ...)                                 \
        static const char *const name##_values[] = { __VA_ARGS__, NULL }; \
        const SettingType setting_type_##name = {                         \
                .expects = what,                                          \
                .argument = "MODE",                                       \
                .values = name##_values,                                  \
                .parse = enum_parse,                                      \
                .to_json = enum_to_json,                                  \
                .clear = int_clear,                                       \
        }

DEFINE_ENUM_TYPE(profile, "default, nesting, strict or privileged", "default", "nesting", "strict",
                 "privileged");
DEFINE_ENUM_TYPE(volatile, "no, yes, state, overlay or disk", "no", "yes", "state", "overlay", "disk");
DEFINE_ENUM_TYPE(console, "auto, pipe, pty or interactive", "auto", "pipe", "pty", "interactive");
const char *console_mode_to_string(ConsoleMode mode)
{
        return console_values[mode];
}

DEFINE_ENUM_TYPE(timezone, "auto, off, copy, bind, symlink or delete", "auto", "off", "copy", "bind",
                 "symlink", "delete");
DEFINE_ENUM_TYPE(link_journal, "auto, no, host, try-host, guest or try-guest", "auto", "no", "host",
                 "try-host", "guest", "try-guest");
DEFINE_ENUM_TYPE(resolv_conf, "auto, off, delete, or {copy,replace,bind}-{host,static,uplink,stub}", "auto",
                 "off", "copy-host", "copy-static", "copy-uplink", "copy-stub", "replace-host",
                 "replace-static", "replace-uplink", "replace-stub", "bind-host", "bind-static",
                 "bind-uplink", "bind-stub", "delete");
DEFINE_ENUM_TYPE(personality, "native, x86 or x86-64", "native", "x86", "x86-64");
DEFINE_ENUM_TYPE(numa_policy, "default, preferred, bind, interleave or local", "default", "preferred",
                 "bind", "interleave", "local");

static const char *const users_mode_names[_USERS_MODE_MAX] = {
        [USERS_PICK] = "pick",
        [USERS_IDENTITY] = "identity",
        [USERS_HOST] = "no",
};

static int users_parse(const SettingType *type, void *field, const char *value)
{
        PrivateUsers users = { .size = USERS_RANGE_SIZE };
        int b = strlen(value) > 1 ? parse_boolean(value) : -EINVAL; /* "0" and "1" are bases */

        (void) type;
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

static json_t *users_to_json(const SettingType *type, const void *field)
{
        const PrivateUsers *users = field;

        (void) type;
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
        .argument = "RANGE",
        .parse = users_parse,
        .to_json = users_to_json,
        .clear = users_clear,
};

static int capabilities_parse(const SettingType *type, void *field, const char *value)
{
        _cleanup_strv_ Strv words = NULL;
        uint64_t mask = 0;
        int r;

        (void) type;
        r = strv_split_words(value, &words);
        if (r < 0)
                return r;
        STRV_FOREACH (word, words) {
                if (streq(*word, "all")) {
                        mask = CAPABILITY_ALL;
                        continue;
                }
                r = capability_from_string(*word);
                if (r < 0)
                        return r;
                mask |= CAPABILITY_BIT(r);
        }
        *(uint64_t *) field |= mask;
        return 0;
}

static json_t *capabilities_to_json(const SettingType *type, const void *field)
{
        uint64_t mask = *(const uint64_t *) field;
        json_t *array = json_array();

        (void) type;
        if (mask == CAPABILITY_ALL)
                json_array_append_new(array, json_string("all"));
        for (unsigned i = 0; i < 64 && mask != CAPABILITY_ALL; i++)
                if (mask & CAPABILITY_BIT(i))
                        json_array_append_new(array, json_string(capability_to_string(i)));
        return array;
}

static void capabilities_clear(void *field)
{
        *(uint64_t *) field = 0;
}

const SettingType setting_type_capabilities = {
        .expects = "names of capabilities such as CAP_NET_ADMIN, or all",
        .argument = "CAP…",
        .list = true,
        .parse = capabilities_parse,
        .to_json = capabilities_to_json,
        .clear = capabilities_clear,
};

/* SOFT[:HARD]. Values are in the units of setrlimit(2), with the suffixes of parse_size(). */
static int limit_value_parse(const char *s, uint64_t *ret)
{
        if (streq(s, "infinity")) {
                *ret = UINT64_MAX;
                return 0;
        }
        return parse_size(s, 1024, ret);
}

static int limit_parse(const SettingType *type, void *field, const char *value)
{
        _cleanup_free_ char *soft = strndup(value, strcspn(value, ":"));
        const char *colon = strchr(value, ':');
        ResourceLimit limit = { .set = true };
        int r;

        (void) type;
        OOM_CHECK(soft);
        r = limit_value_parse(soft, &limit.soft);
        if (r >= 0)
                r = limit_value_parse(colon ? colon + 1 : soft, &limit.hard);
        if (r < 0)
                return r;
        if (limit.soft > limit.hard)
                return -EINVAL;
        *(ResourceLimit *) field = limit;
        return 0;
}

static json_t *limit_to_json(const SettingType *type, const void *field)
{
        const ResourceLimit *limit = field;
        char soft[24] = "infinity", hard[24] = "infinity";

        (void) type;
        if (!limit->set)
                return json_null();
        if (limit->soft != UINT64_MAX)
                snprintf(soft, sizeof(soft), "%llu", (unsigned long long) limit->soft);
        if (limit->hard != UINT64_MAX)
                snprintf(hard, sizeof(hard), "%llu", (unsigned long long) limit->hard);
        return json_sprintf("%s:%s", soft, hard);
}

static void limit_clear(void *field)
{
        *(ResourceLimit *) field = (ResourceLimit){};
}

const SettingType setting_type_limit = {
        .expects = "SOFT[:HARD], each a number or infinity",
        .argument = "LIMIT",
        .parse = limit_parse,
        .to_json = limit_to_json,
        .clear = limit_clear,
};

/* Lists */

static json_t *strv_to_json(const SettingType *type, const void *field)
{
        const Strv l = *(const Strv *) field;
        json_t *array = json_array();

        (void) type;
        STRV_FOREACH (s, l)
                json_array_append_new(array, json_string(*s));
        return array;
}

static void strv_clear(void *field)
{
        strv_free(*(Strv *) field);
        *(Strv *) field = NULL;
}

/* A later command line replaces an earlier one. For a JSON list of words, the reader joins the words
 * first. */
static int words_parse(const SettingType *type, void *field, const char *value)
{
        Strv words;
        int r;

        (void) type;
        r = strv_split_words(value, &words);
        if (r < 0)
                return r;
        strv_clear(field);
        *(Strv *) field = words;
        return 0;
}

const SettingType setting_type_words = {
        .expects = "words, quoted where they contain blanks",
        .argument = "WORDS",
        .parse = words_parse,
        .to_json = strv_to_json,
        .clear = strv_clear,
};

/* Names must be names of shell variables. Values must not have control characters, since many parsers would
 * read a line break as the beginning of another variable. */
static bool is_environment_assignment(const char *s)
{
        size_t n = strcspn(s, "=");

        if (n == 0 || s[n] != '=' || isdigit((unsigned char) s[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) s[i]) && s[i] != '_')
                        return false;
        return str_is_clean(s + n + 1);
}

static int environment_parse(const SettingType *type, void *field, const char *value)
{
        return type->check(value) ? strv_env_set(field, value) : -EINVAL;
}

const SettingType setting_type_environment = {
        .expects = "NAME=VALUE, the value without control characters",
        .argument = "NAME=VALUE",
        .check = is_environment_assignment,
        .list = true,
        .parse = environment_parse,
        .to_json = strv_to_json,
        .clear = strv_clear,
};

/* An assignment has one entry. */
static int entry_parse(const SettingType *type, void *field, const char *value)
{
        return type->check(value) ? strv_append(field, value) : -EINVAL;
}

/* An assignment has an entry for each word. */
static int entries_parse(const SettingType *type, void *field, const char *value)
{
        _cleanup_strv_ Strv words = NULL;
        int r;

        r = strv_split_words(value, &words);
        if (r < 0)
                return r;
        STRV_FOREACH (word, words)
                if (!type->check(*word))
                        return -EINVAL;
        return strv_extend(field, words);
}

static bool is_bind(const char *value)
{
        _cleanup_mount_entry_ MountEntry entry = {};
        return str_is_clean(value) && mount_entry_parse_bind(value, &entry) >= 0;
}

static bool is_tmpfs(const char *value)
{
        _cleanup_mount_entry_ MountEntry entry = {};
        return str_is_clean(value) && mount_entry_parse_tmpfs(value, &entry) >= 0;
}

static bool is_overlay(const char *value)
{
        _cleanup_mount_entry_ MountEntry entry = {};
        return str_is_clean(value) && mount_entry_parse_overlay(value, false, &entry) >= 0;
}

static bool is_device(const char *value)
{
        _cleanup_device_entry_ DeviceEntry entry = {};
        return cdi_name_valid(value) || (str_is_clean(value) && device_entry_parse(value, &entry) >= 0);
}

static bool is_credential_id(const char *value, size_t n)
{
        if (n == 0 || n > 255 || value[0] == '.')
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) value[i]) && !strchr("-_.", value[i]))
                        return false;
        return true;
}

static bool is_credential_file(const char *value)
{
        size_t n = strcspn(value, ":");
        return value[n] == ':' && is_credential_id(value, n) && path_is_normal(value + n + 1);
}

static bool is_credential_value(const char *value)
{
        size_t n = strcspn(value, ":");
        return value[n] == ':' && is_credential_id(value, n);
}

/* Only parameters of the machine's own namespaces, with a single value. */
static bool is_sysctl(const char *value)
{
        static const char *const prefixes[] = { "net.", "fs.mqueue.", "kernel.msg", "kernel.shm",
                                                "kernel.sem" };
        size_t n = strcspn(value, "=");
        bool namespaced = false;

        if (value[n] != '=' || strstr(value, ".."))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                namespaced = namespaced || startswith(value, prefixes[i]);
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) value[i]) && !strchr("-_./", value[i]))
                        return false;
        for (const char *p = value + n + 1; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("-_.:,/ \t", *p))
                        return false;
        return namespaced && value[n + 1];
}

/* Names of interfaces have at most 15 characters (IFNAMSIZ), without '/', ':' and blanks. */
static bool is_interface(const char *value)
{
        size_t n = strcspn(value, ":"), m = value[n] ? strlen(value + n + 1) : 1;

        if (n == 0 || n > 15 || m == 0 || m > 15 || (value[n] && strchr(value + n + 1, ':')))
                return false;
        return str_is_clean(value) && !strpbrk(value, "/ \t");
}

static bool is_system_call(const char *value)
{
        const char *p = value + (*value == '~');

        if (startswith(p, "socket:"))
                p += strlen("socket:");
        else
                p += *p == '@';
        return *p && strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(p);
}

#define DEFINE_LIST_TYPE(name, what, arg, check_value, parse_value) \
        const SettingType setting_type_##name = {                   \
                .expects = what,                                    \
                .argument = arg,                                    \
                .check = check_value,                               \
                .list = true,                                       \
                .parse = parse_value,                               \
                .to_json = strv_to_json,                            \
                .clear = strv_clear,                                \
        }

DEFINE_LIST_TYPE(
        bind,
        "[+-]SOURCE[:TARGET[:OPTION,…]] with absolute paths, and options such as ro, nosuid, norbind, "
        "private or noidmap",
        "SOURCE[:TARGET[:OPTION]]", is_bind, entry_parse);
DEFINE_LIST_TYPE(
        tmpfs,
        "PATH[:OPTION,…] with an absolute path that is not '/', and options such as size=1G, mode=0755 "
        "or nosuid",
        "PATH[:OPTIONS]", is_tmpfs, entry_parse);
DEFINE_LIST_TYPE(overlay, "LOWER:…:UPPER:TARGET with absolute paths", "LOWER:…:UPPER:TARGET", is_overlay,
                 entry_parse);
DEFINE_LIST_TYPE(path_list, "an absolute path without '..'", "PATH", is_normal_path, entry_parse);
DEFINE_LIST_TYPE(device,
                 "PATH[:INSIDE][:rwm] with an absolute path, or a CDI name such as vendor.com/class=name",
                 "DEVICE[:INSIDE][:rwm]", is_device, entry_parse);
DEFINE_LIST_TYPE(credential_file, "ID:PATH with an absolute path", "ID:PATH", is_credential_file,
                 entry_parse);
DEFINE_LIST_TYPE(credential_value, "ID:VALUE", "ID:VALUE", is_credential_value, entry_parse);
DEFINE_LIST_TYPE(sysctl, "KEY=VALUE with a key below net, fs.mqueue, kernel.msg*, kernel.sem or kernel.shm*",
                 "KEY=VALUE", is_sysctl, entry_parse);
DEFINE_LIST_TYPE(interface, "INTERFACE[:NAME], each of at most 15 characters", "INTERFACE[:NAME]",
                 is_interface, entries_parse);
DEFINE_LIST_TYPE(system_calls, "names of system calls and @groups, \"~\" in front of those to refuse",
                 "CALL…", is_system_call, entries_parse);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "systemd/property.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>

#include "basic/parse.h"

/* Looks up the type of a property in introspection data: <property name="X" type="Y" …>. */
static bool find_type(const char *types, const char *name, char ret[32])
{
        _cleanup_free_ char *needle = strf("<property name=\"%s\" type=\"", name);
        const char *p = needle ? strstr(types, needle) : NULL;

        if (!p)
                return false;
        p += strlen(needle);
        size_t n = strcspn(p, "\"");
        if (n == 0 || n >= 32)
                return false;
        memcpy(ret, p, n);
        ret[n] = 0;
        return true;
}

int property_open(sd_bus_message *m, const char *name, const char *types)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', types);
}

int property_close(sd_bus_message *m, unsigned n)
{
        int r = 0;

        while (r >= 0 && n-- > 0)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_variant(sd_bus_message *m, const char *name, const char *types, ...)
{
        va_list ap;
        int r;

        r = property_open(m, name, types);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        return r < 0 ? r : property_close(m, 2);
}

static int append_boolean(sd_bus_message *m, const char *name, const char *value)
{
        int b = parse_boolean(value);
        return b < 0 ? b : append_variant(m, name, "b", b);
}

static int append_string(sd_bus_message *m, const char *name, const char *value)
{
        return append_variant(m, name, "s", value);
}

static int append_int(sd_bus_message *m, const char *name, const char *value)
{
        bool negative = value[0] == '-';
        uint64_t v;
        int r = signal_from_string(value);

        if (endswith(name, "Signal"))
                return r < 0 ? r : append_variant(m, name, "i", (int32_t) r);
        r = parse_u64(value + negative, 0, INT32_MAX, &v);
        return r < 0 ? r : append_variant(m, name, "i", negative ? -(int32_t) v : (int32_t) v);
}

static int append_uint32(sd_bus_message *m, const char *name, const char *value)
{
        uint64_t v;
        int r;

        if (endswith(name, "Mode") || streq(name, "UMask")) {
                v = strtoul(value, NULL, 8);
                r = value[strspn(value, "01234567")] || v > 07777 ? -EINVAL : 0;
        } else
                r = parse_u64(value, 0, UINT32_MAX, &v);
        return r < 0 ? r : append_variant(m, name, "u", (uint32_t) v);
}

static int parse_limit(const char *value, unsigned base, uint64_t *ret)
{
        if (streq(value, "infinity") || streq(value, "max")) {
                *ret = UINT64_MAX;
                return 0;
        }
        return parse_size(value, base, ret);
}

/* LimitX=SOFT[:HARD] sets two properties, LimitX and LimitXSoft. */
static int append_rlimit(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_free_ char *soft_name = strf("%sSoft", name),
                            *soft_text = strndup(value, strcspn(value, ":"));
        const char *colon = strchr(value, ':');
        uint64_t soft, hard;
        int r;

        if (!soft_name || !soft_text)
                return -ENOMEM;
        r = parse_limit(soft_text, 1024, &soft);
        if (r >= 0)
                r = parse_limit(colon ? colon + 1 : soft_text, 1024, &hard);
        if (r >= 0)
                r = append_variant(m, name, "t", hard);
        return r < 0 ? r : append_variant(m, soft_name, "t", soft);
}

/* A percentage of the memory or of the tasks is set by a separate property, in units of 2^-32. */
static int append_percentage(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_free_ char *scale_name = strf("%sScale", name), *digits = strndup(value, strlen(value) - 1);
        uint64_t percent;
        int r;

        if (!scale_name || !digits)
                return -ENOMEM;
        r = parse_u64(digits, 0, 100, &percent);
        return r < 0 ? r : append_variant(m, scale_name, "u", (uint32_t) (percent * UINT32_MAX / 100));
}

static int append_uint64(sd_bus_message *m, const char *name, const char *value)
{
        uint64_t v;
        int r;

        if (startswith(name, "Limit"))
                return append_rlimit(m, name, value);
        if (endswith(value, "%"))
                return append_percentage(m, name, value);
        if (endswith(name, "USec"))
                r = parse_timespan(value, USEC_PER_SEC, &v);
        else if (streq(name, "CPUWeight") && streq(value, "idle"))
                v = 0, r = 0;
        else
                r = parse_limit(value, 1024, &v);
        return r < 0 ? r : append_variant(m, name, "t", v);
}

static int append_words(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_strv_ Strv words = NULL;
        int r;

        r = strv_split_words(value, &words);
        if (r >= 0)
                r = property_open(m, name, "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, words);
        return r < 0 ? r : property_close(m, 2);
}

/* Appends a list of processors or memory nodes as a bit mask. */
static int append_cpu_set(sd_bus_message *m, const char *name, const char *value)
{
        uint8_t mask[1024];
        size_t size;
        int r;

        r = parse_number_set(value, mask, sizeof(mask), &size);
        if (r < 0)
                return r;
        r = property_open(m, name, "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', mask, size);
        return r < 0 ? r : property_close(m, 2);
}

/* Splits "FIRST REST". */
static int split_pair(const char *value, char **ret_first, const char **ret_rest)
{
        size_t n = strcspn(value, " \t");

        *ret_first = strndup(value, n);
        *ret_rest = value + n + strspn(value + n, " \t");
        return *ret_first ? 0 : -ENOMEM;
}

/* Properties of this type differ in their syntax. Only DeviceAllow= is supported: "DEVICE [ACCESS]". */
static int append_string_pair(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_free_ char *first = NULL;
        const char *rest;
        int r;

        if (!streq(name, "DeviceAllow"))
                return -EOPNOTSUPP;
        r = split_pair(value, &first, &rest);
        return r < 0 ? r : append_variant(m, name, "a(ss)", 1, first, *rest ? rest : "rwm");
}

static int append_device_limit(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_free_ char *first = NULL;
        const char *rest;
        uint64_t v;
        int r;

        r = split_pair(value, &first, &rest);
        if (r >= 0)
                r = endswith(name, "USec") ? parse_timespan(rest, USEC_PER_SEC, &v)
                                           : parse_limit(rest, 1000, &v);
        return r < 0 ? r : append_variant(m, name, "a(st)", 1, first, v);
}

/* Appends exit statuses and signals, which are two lists. */
static int append_statuses(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_strv_ Strv words = NULL;
        int32_t lists[2][256];
        size_t n[2] = {};
        int r;

        r = strv_split_words(value, &words);
        if (r < 0 || !words)
                return r < 0 ? r : -EINVAL;
        for (size_t i = 0; i < strv_length(words); i++) {
                uint64_t status;
                bool is_status = parse_u64(words[i], 0, 255, &status) >= 0;
                int number = is_status ? (int) status : signal_from_string(words[i]);
                if (number < 0)
                        return number;
                if (n[!is_status] == ELEMENTSOF(lists[0]))
                        return -EINVAL;
                lists[!is_status][n[!is_status]++] = number;
        }
        r = property_open(m, name, "(aiai)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "aiai");
        for (size_t i = 0; i < 2 && r >= 0; i++)
                r = sd_bus_message_append_array(m, 'i', lists[i], n[i] * sizeof(int32_t));
        return r < 0 ? r : property_close(m, 3);
}

int property_append_field(sd_bus_message *m, const char *name, const char *value)
{
        int r;

        r = property_open(m, name, "aay");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', value, strlen(value));
        return r < 0 ? r : property_close(m, 3);
}

static int append_command(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_strv_ Strv words = NULL;
        bool ignore = value[0] == '-';
        int r;

        r = strv_split_words(value + ignore, &words);
        if (r >= 0 && (!words || words[0][0] != '/'))
                r = -EINVAL;
        if (r >= 0)
                r = property_open(m, name, "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", words[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, words);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", ignore);
        return r < 0 ? r : property_close(m, 4);
}

typedef struct Address {
        int family;
        uint8_t bytes[16];
        size_t size; /* number of bytes */
        uint64_t prefix;
} Address;

/* Parses ADDRESS[/PREFIX]. */
static int parse_address(const char *value, Address *ret)
{
        _cleanup_free_ char *text = strndup(value, strcspn(value, "/"));
        const char *slash = strchr(value, '/');

        OOM_CHECK(text);
        ret->family = strchr(text, ':') ? AF_INET6 : AF_INET;
        ret->size = ret->family == AF_INET ? 4 : 16;
        ret->prefix = ret->size * 8;
        if (inet_pton(ret->family, text, ret->bytes) != 1)
                return -EINVAL;
        return slash ? parse_u64(slash + 1, 0, ret->size * 8, &ret->prefix) : 0;
}

static int append_address(sd_bus_message *m, const Address *address)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "iayu");
        if (r >= 0)
                r = sd_bus_message_append(m, "i", address->family);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', address->bytes, address->size);
        if (r >= 0)
                r = sd_bus_message_append(m, "u", (uint32_t) address->prefix);
        return r < 0 ? r : property_close(m, 1);
}

/* Appends addresses. "any" and "localhost" each stand for an address of IPv4 and one of IPv6. */
static int append_addresses(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_strv_ Strv words = NULL;
        int r;

        r = strv_split_words(value, &words);
        if (r < 0)
                return r;
        size_t n = 0, n_words = strv_length(words);
        _cleanup_free_ Address *addresses = calloc(n_words * 2 + 1, sizeof(Address));
        OOM_CHECK(addresses);
        for (size_t i = 0; i < n_words && r >= 0; i++) {
                bool any = streq(words[i], "any"), localhost = streq(words[i], "localhost");
                r = parse_address(any ? "0.0.0.0/0" : localhost ? "127.0.0.0/8" : words[i], addresses + n++);
                if (r >= 0 && (any || localhost))
                        r = parse_address(any ? "::/0" : "::1/128", addresses + n++);
        }
        if (r < 0 || n == 0)
                return r < 0 ? r : -EINVAL;

        r = property_open(m, name, "a(iayu)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(iayu)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_address(m, addresses + i);
        return r < 0 ? r : property_close(m, 3);
}

/* Converters from text to a value, by the type that systemd reports for a property. A command is written
 * with another type than it is read. */
static const struct {
        const char *type;
        int (*append)(sd_bus_message *m, const char *name, const char *value);
} converters[] = {
        { "b", append_boolean },
        { "s", append_string },
        { "i", append_int },
        { "u", append_uint32 },
        { "t", append_uint64 },
        { "as", append_words },
        { "ay", append_cpu_set },
        { "aay", property_append_field },
        { "a(ss)", append_string_pair },
        { "a(st)", append_device_limit },
        { "(aiai)", append_statuses },
        { "a(iayu)", append_addresses },
        { "a(sasbttttuii)", append_command },
};

/* Finds the name of a property on the bus, which can differ from its name in unit files. */
static char *bus_name(const char *types, const char *key, char type[32])
{
        _cleanup_free_ char *usec = NULL;
        const char *sec = endswith(key, "Sec");

        if (streq(key, "CPUQuota"))
                return find_type(types, "CPUQuotaPerSecUSec", type) ? strdup("CPUQuotaPerSecUSec") : NULL;
        if (find_type(types, key, type))
                return strdup(key);
        if (!sec)
                return NULL;
        usec = strf("%.*sUSec", (int) (sec - key), key);
        return usec && find_type(types, usec, type) ? TAKE_PTR(usec) : NULL;
}

bool property_is_of_unit(const char *types, const char *key)
{
        char type[32];
        _cleanup_free_ char *name = bus_name(types, key, type),
                            *needle = name ? strf("<property name=\"%s\"", name) : NULL;
        const char *unit = strstr(types, "<interface name=\"org.freedesktop.systemd1.Unit\"");
        const char *end = unit ? strstr(unit, "</interface>") : NULL;
        const char *p = unit && needle ? strstr(unit, needle) : NULL;

        return p && end && p < end;
}

/* An empty assignment resets a property to its default: no limit, no protection (Min, Low), an empty list,
 * or an empty text. */
static int append_empty(sd_bus_message *m, const char *name, const char *type)
{
        if (streq(type, "t"))
                return append_variant(m, name, "t",
                                      strstr(name, "Min") || strstr(name, "Low") ? UINT64_C(0) : UINT64_MAX);
        if (streq(type, "s"))
                return append_variant(m, name, "s", "");
        if (streq(type, "a(sasbttttuii)"))
                type = "a(sasb)";
        if (streq(type, "(aiai)"))
                return append_variant(m, name, type, 0, 0);
        return type[0] == 'a' ? append_variant(m, name, type, 0) : -EINVAL;
}

int property_append_assignment(sd_bus_message *message, const char *types, const char *assignment,
                               char **ret_error)
{
        _cleanup_free_ char *key = strndup(assignment, strcspn(assignment, "=")), *name = NULL;
        const char *value = assignment + strcspn(assignment, "=") + 1;
        char type[32], percent[32];
        int r = -EOPNOTSUPP;

        OOM_CHECK(key);
        name = bus_name(types, key, type);
        if (!name)
                return set_invalid(ret_error, "systemd knows no property %s= of a service.", key);

        if (streq(key, "CPUQuota") && *value) {
                /* One per cent of a processor is 10 ms per second. */
                uint64_t v;
                const char *end = endswith(value, "%");
                snprintf(percent, sizeof(percent), "%.*s", end ? (int) (end - value) : 0, value);
                if (parse_u64(percent, 1, UINT64_MAX / 10000, &v) < 0)
                        return set_invalid(ret_error,
                                           "Invalid value '%s' for CPUQuota=: expected a percentage.",
                                           value);
                return append_variant(message, name, "t", v * 10000);
        }

        if (!*value)
                r = append_empty(message, name, type);
        for (size_t i = 0; *value && i < ELEMENTSOF(converters); i++)
                if (streq(converters[i].type, type))
                        r = converters[i].append(message, name, value);
        if (r == -EOPNOTSUPP)
                *ret_error = strf("Property %s= cannot be set here; use a drop-in of container@.service.",
                                  key);
        else if (r == -EINVAL || r == -ERANGE)
                return set_invalid(ret_error, "Invalid value '%.80s' for property %s=.", value, key);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <ctype.h>
#include <sys/resource.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "registry/unit.h"

/* These make a unit a machine; the template container@.service says the same. */
static const char *const machine_assignments[] = {
        "Type=notify",      "NotifyAccess=main",         "Delegate=yes",
        "KillMode=mixed",   "Slice=machine.slice",       "TimeoutStartSec=2min",
        "TasksMax=16384",   "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=restart",
        "IOAccounting=yes",
};

static int add_devices(const Spec *spec, Strv *l)
{
        int r = 0;

        if (spec->profile == PROFILE_PRIVILEGED)
                return 0;
        r = strv_append(l, "DevicePolicy=closed");
        if (r >= 0)
                r = strv_append(l, "DeviceAllow=char-pts rw");
        return r < 0 ? r : spec_allow_devices(spec, l);
}

/* A payload's cgroup with controllers is in the way of another start, and an init has a link to its journal. What a
 * command that runs once leaves, systemd removes, and the registry its claims: that is a process less for each. */
static bool needs_cleanup(const Spec *spec)
{
        STRV_FOREACH (s, spec->resources)
                if (startswith(*s, "Restart"))
                        return true;
        return spec->boot || spec->volatile_mode == VOLATILE_DISK;
}

int unit_assignments(const Spec *spec, Strv *ret)
{
        char signal_name[SIGNAL_NAME_MAX];
        _cleanup_strv_ Strv l = NULL;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(machine_assignments) && r >= 0; i++)
                r = strv_append(&l, machine_assignments[i]);
        if (r >= 0)
                r = strv_appendf(&l, "Description=Machine %s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "SyslogIdentifier=%s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "LogExtraFields=MACHINE=%s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "RuntimeDirectory=mctl/machines/%s", spec->name);
        if (r >= 0)
                r = strv_appendf(&l, "KillSignal=%s",
                                 signal_to_string(spec->kill_signal > 0 ? spec->kill_signal
                                                  : spec->boot          ? SIGRTMIN + 4
                                                                        : SIGTERM,
                                                  signal_name));
        if (r >= 0)
                r = strv_appendf(&l, "ExecStart=%s start %s", LAUNCHER, spec->name);
        if (r >= 0 && needs_cleanup(spec))
                r = strv_appendf(&l, "ExecStopPost=-%s cleanup %s", LAUNCHER, spec->name);
        if (r >= 0 && spec->boot)
                r = strv_append(
                        &l, "RestartForceExitStatus=SIGHUP"); /* the kernel's report of a reboot inside */
        /* A command that is PID 1 of its namespace and handles no signal is not ended by one. */
        if (r >= 0 && !spec->boot)
                r = strv_append(&l, "TimeoutStopSec=10s");
        if (r >= 0 && !spec->boot)
                r = strv_append(&l, "SuccessExitStatus=143"); /* what shells and mctl-init make of SIGTERM */
        if (r >= 0)
                r = add_devices(spec, &l);
        if (r < 0)
                return r;

        r = strv_extend(&l, spec->resources);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

/* Looks a property up in introspection data: <property name="X" type="Y" …>. */
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

int unit_open_property(sd_bus_message *m, const char *name, const char *types)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', types);
}

int unit_close_containers(sd_bus_message *m, unsigned n)
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

        r = unit_open_property(m, name, types);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        return r < 0 ? r : unit_close_containers(m, 2);
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
                char *end;
                v = strtoul(value, &end, 8);
                r = *end || v > 07777 ? -EINVAL : 0;
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

/* LimitX=SOFT[:HARD] is two properties. */
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

/* Shares of the memory or of the tasks are a property of their own, in units of 2^-32. */
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
                r = unit_open_property(m, name, "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, words);
        return r < 0 ? r : unit_close_containers(m, 2);
}

/* A list of processors or memory nodes, as a bit mask. */
static int append_cpu_set(sd_bus_message *m, const char *name, const char *value)
{
        uint8_t mask[1024];
        size_t size;
        int r;

        r = parse_number_set(value, mask, sizeof(mask), &size);
        if (r < 0)
                return r;
        r = unit_open_property(m, name, "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', mask, size);
        return r < 0 ? r : unit_close_containers(m, 2);
}

/* "FIRST REST" */
static int split_pair(const char *value, char **ret_first, const char **ret_rest)
{
        size_t n = strcspn(value, " \t");

        *ret_first = strndup(value, n);
        *ret_rest = value + n + strspn(value + n, " \t");
        return *ret_first ? 0 : -ENOMEM;
}

static int append_string_pair(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_free_ char *first = NULL;
        const char *rest;
        int r = split_pair(value, &first, &rest);

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

static int append_statuses(sd_bus_message *m, const char *name, const char *value)
{
        uint64_t status;
        int sig;

        if (parse_u64(value, 0, 255, &status) >= 0)
                return append_variant(m, name, "(aiai)", 1, (int32_t) status, 0);
        sig = signal_from_string(value);
        return sig < 0 ? sig : append_variant(m, name, "(aiai)", 0, 1, sig);
}

int unit_append_field(sd_bus_message *m, const char *name, const char *value)
{
        int r;

        r = unit_open_property(m, name, "aay");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', value, strlen(value));
        return r < 0 ? r : unit_close_containers(m, 3);
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
                r = unit_open_property(m, name, "a(sasb)");
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
        return r < 0 ? r : unit_close_containers(m, 4);
}

/* ADDRESS[/PREFIX] */
static int append_address(sd_bus_message *m, const char *name, const char *value)
{
        _cleanup_free_ char *text = strndup(value, strcspn(value, "/"));
        const char *slash = strchr(value, '/');
        uint8_t address[16];
        uint64_t prefix;
        int family, r;

        OOM_CHECK(text);
        if (streq(value, "any")) {
                r = append_address(m, name, "0.0.0.0/0");
                return r < 0 ? r : append_address(m, name, "::/0");
        }
        if (streq(value, "localhost")) {
                r = append_address(m, name, "127.0.0.0/8");
                return r < 0 ? r : append_address(m, name, "::1/128");
        }

        family = strchr(text, ':') ? AF_INET6 : AF_INET;
        size_t size = family == AF_INET ? 4 : 16;
        prefix = size * 8;
        if (inet_pton(family, text, address) != 1)
                return -EINVAL;
        if (slash && parse_u64(slash + 1, 0, size * 8, &prefix) < 0)
                return -EINVAL;

        r = unit_open_property(m, name, "a(iayu)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(iayu)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "iayu");
        if (r >= 0)
                r = sd_bus_message_append(m, "i", family);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', address, size);
        if (r >= 0)
                r = sd_bus_message_append(m, "u", (uint32_t) prefix);
        return r < 0 ? r : unit_close_containers(m, 4);
}

/* How the text of a property becomes a value, by the type that systemd gives it. A few are written in another shape
 * than they are read. */
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
        { "aay", unit_append_field },
        { "a(ss)", append_string_pair },
        { "a(st)", append_device_limit },
        { "(aiai)", append_statuses },
        { "a(iayu)", append_address },
        { "a(sasbttttuii)", append_command },
};

/* Where the unit file has another name for a property than the bus. */
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

/* Whether a property is of units of all types: its place in a file is [Unit]. */
static bool is_of_unit(const char *types, const char *name)
{
        _cleanup_free_ char *needle = strf("<property name=\"%s\"", name);
        const char *unit = strstr(types, "<interface name=\"org.freedesktop.systemd1.Unit\"");
        const char *end = unit ? strstr(unit, "</interface>") : NULL;
        const char *p = unit && needle ? strstr(unit, needle) : NULL;

        return p && end && p < end;
}

/* Nothing assigned makes a property what it is by default: no limit, or for what is a protection, none; an empty list,
 * an empty text. */
static int append_empty(sd_bus_message *m, const char *name, const char *type)
{
        if (streq(type, "t"))
                return append_variant(m, name, "t",
                                      strstr(name, "Min") || strstr(name, "Low") ? UINT64_C(0) : UINT64_MAX);
        if (streq(type, "s"))
                return append_variant(m, name, "s", "");
        if (streq(type, "a(sasbttttuii)"))
                type = "a(sasb)";
        return type[0] == 'a' ? append_variant(m, name, type, 0) : -EINVAL;
}

static int append_assignment(sd_bus_message *message, const char *types, const char *assignment,
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
                /* Per cent of one processor are units of 10 ms in a second. */
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

int unit_read_stdio(sd_bus_message *call, int ret_fds[3])
{
        for (size_t i = 0; i < 3; i++) {
                int r = sd_bus_message_read(call, "h", ret_fds + i);
                if (r < 0)
                        return r;
                if (!fd_is_stream(ret_fds[i]))
                        return MIN(
                                sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                           "Standard input and output are no directories."),
                                0);
        }
        return 1;
}

int unit_append_stdio(sd_bus_message *message, const int fds[3])
{
        static const char *const names[] = { "StandardInputFileDescriptor", "StandardOutputFileDescriptor",
                                             "StandardErrorFileDescriptor" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(names) && r >= 0; i++)
                if (fds[i] >= 0)
                        r = sd_bus_message_append(message, "(sv)", names[i], "h", fds[i]);
        return r;
}

int unit_append_properties(sd_bus_message *message, const char *types, const Strv assignments,
                           char **ret_error)
{
        int r;

        STRV_FOREACH (s, assignments) {
                r = append_assignment(message, types, *s, ret_error);
                if (r < 0)
                        return r == -EOPNOTSUPP ? -EINVAL : r;
        }
        return 0;
}

int unit_check_property(sd_bus *bus, const char *types, const char *assignment, bool file, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        _cleanup_free_ char *key = strndup(assignment, strcspn(assignment, "=")), *name = NULL;
        char type[32];
        int r;

        OOM_CHECK(key);
        name = bus_name(types, key, type);
        if (file && name && is_of_unit(types, name))
                return set_invalid(ret_error, "%s= belongs in section [Unit] of a machine file.", key);
        r = sd_bus_message_new_signal(bus, &scratch, REGISTRY_PATH, REGISTRY_INTERFACE, "Scratch");
        if (r >= 0)
                r = sd_bus_message_open_container(scratch, 'a', "(sv)");
        if (r >= 0)
                r = append_assignment(scratch, types, assignment, ret_error);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "basic/names.h"
#include "basic/str.h"

static const struct {
        const char *prefix;
        bool dash_escaped;
} unit_kinds[_MACHINE_UNIT_KIND_MAX] = {
        /* In machine-NAME.service, dashes in NAME are escaped, as in the machine-NAME.scope of
         * systemd-machined: a bare dash separates levels in names of slices. In container@NAME.service,
         * dashes are not escaped, because people type this name. */
        [MACHINE_UNIT_TRANSIENT] = { "machine-", true },
        [MACHINE_UNIT_TEMPLATE] = { "container@", false },
};

const char *const machine_unit_patterns[] = { "machine-*.service", "container@*.service", NULL };

bool machine_name_valid(const char *name)
{
        bool label_start = true;
        char previous = 0;

        if (isempty(name) || strlen(name) > MACHINE_NAME_MAX)
                return false;
        for (const char *p = name; *p; p++) {
                if (*p == '.') {
                        if (label_start || previous == '-')
                                return false;
                        label_start = true;
                } else if (isalnum((unsigned char) *p) || *p == '_' || (*p == '-' && !label_start))
                        label_start = false;
                else
                        return false;
                previous = *p;
        }
        return !label_start && previous != '-';
}

int machine_name_from(const char *s, char **ret)
{
        _cleanup_free_ char *name = malloc(MACHINE_NAME_MAX + 1);
        OOM_CHECK(name);
        size_t n = 0;

        for (; *s && n < MACHINE_NAME_MAX; s++) {
                char c = isalnum((unsigned char) *s) || strchr("-_.", *s) ? *s : '-';
                if (strchr("-.", c) && (n == 0 || strchr("-.", name[n - 1])))
                        continue;
                name[n++] = c;
        }
        while (n > 0 && strchr("-.", name[n - 1]))
                n--;
        name[n] = 0;

        if (!machine_name_valid(name))
                return -EINVAL;
        *ret = TAKE_PTR(name);
        return 0;
}

bool image_name_valid(const char *name)
{
        return !isempty(name) && strlen(name) <= 255 && name[0] != '.' && !strchr(name, '/') &&
               str_is_clean(name);
}

char *machine_unit_name(MachineUnitKind kind, const char *name)
{
        char escaped[MACHINE_NAME_MAX * 4 + 1], *p = escaped;

        assert(machine_name_valid(name));

        for (const char *s = name; *s; s++)
                if (*s == '-' && unit_kinds[kind].dash_escaped)
                        p = stpcpy(p, "\\x2d");
                else
                        *p++ = *s;
        *p = 0;
        return strf("%s%s.service", unit_kinds[kind].prefix, escaped);
}

int machine_name_from_unit(const char *unit, char **ret_name, MachineUnitKind *ret_kind)
{
        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                const char *s = startswith(unit, unit_kinds[kind].prefix), *end = endswith(unit, ".service");
                char name[MACHINE_NAME_MAX + 1];
                size_t n = 0;

                if (!s || !end || end <= s)
                        continue;
                while (s < end && n < MACHINE_NAME_MAX) {
                        const char *dash = startswith(s, "\\x2d");
                        name[n++] = dash ? '-' : *s;
                        s = dash ? dash : s + 1;
                }
                name[n] = 0;
                if (s != end || !machine_name_valid(name))
                        return -EINVAL;

                *ret_name = strdup(name);
                OOM_CHECK(*ret_name);
                if (ret_kind)
                        *ret_kind = kind;
                return 0;
        }
        return -EINVAL;
}

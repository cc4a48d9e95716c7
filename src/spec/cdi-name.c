/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/cdi-name.h"

#include <ctype.h>
#include <string.h>

static bool part_valid(const char *s, size_t n, const char *extra)
{
        if (n == 0 || n > 255 || !isalnum((unsigned char) s[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) s[i]) && !strchr(extra, s[i]))
                        return false;
        return true;
}

bool cdi_name_valid(const char *name)
{
        const char *slash = strchr(name, '/'), *equals = slash ? strchr(slash, '=') : NULL;

        return equals && part_valid(name, slash - name, "-_.") &&
               part_valid(slash + 1, equals - slash - 1, "-_") &&
               part_valid(equals + 1, strlen(equals + 1), "-_.:");
}

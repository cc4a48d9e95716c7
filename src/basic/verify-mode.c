/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/verify-mode.h"

#include "basic/str.h"

int verify_mode_from_string(const char *s)
{
        static const char *const names[_VERIFY_MODE_MAX] = {
                [VERIFY_DEFAULT] = "",
                [VERIFY_NO] = "no",
                [VERIFY_CHECKSUM] = "checksum",
                [VERIFY_SIGNATURE] = "signature",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return (int) i;
        return -EINVAL;
}

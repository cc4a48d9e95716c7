/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/root-hash.h"

#include <string.h>

bool root_hash_is_hex(const char *text)
{
        size_t n = strlen(text);

        return n >= 64 && n <= ROOT_HASH_LENGTH && n % 2 == 0 && strspn(text, "0123456789abcdefABCDEF") == n;
}

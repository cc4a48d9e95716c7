/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/random.h>

#include "basic/macro.h"

/* Returns a number that cannot be guessed. getrandom(2) returns 8 bytes at once, but blocks at boot until
 * the kernel's generator is initialised. */
static inline uint64_t random_u64(void)
{
        uint64_t number;

        while (getrandom(&number, sizeof(number), 0) != sizeof(number))
                ;
        return number;
}

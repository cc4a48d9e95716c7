/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/random.h>

#include "basic/macro.h"

/* A number that nobody can guess. So few bytes the kernel gives at once, or waits for at boot. */
static inline uint64_t random_u64(void)
{
        uint64_t number;

        while (getrandom(&number, sizeof(number), 0) != sizeof(number))
                ;
        return number;
}

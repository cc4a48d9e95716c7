/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Names of capabilities. A set of them is a mask: bit n is capability n of capabilities(7). */

#define CAPABILITY_BIT(n) (UINT64_C(1) << (n))
#define CAPABILITY_ALL    UINT64_MAX

/* "cap_sys_admin"; NULL for a number that this version does not know. */
const char *capability_to_string(unsigned capability) _const_;
/* In any case, with or without "cap_". -EINVAL for no capability. */
int capability_from_string(const char *s);

/* Takes up all that this process is permitted: who became another user for the file system has laid part of it down. */
int capability_raise(void);

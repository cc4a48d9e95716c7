/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Names of capabilities. A set of capabilities is a mask: bit n is capability n of capabilities(7). */

#define CAPABILITY_BIT(n) (UINT64_C(1) << (n))
#define CAPABILITY_ALL    UINT64_MAX

/* Returns a name such as "cap_sys_admin", or NULL for a number that this version does not know. */
const char *capability_to_string(unsigned capability) _const_;
/* Finds a capability by its name, in any case, with or without "cap_". -EINVAL for an unknown name. */
int capability_from_string(const char *s);

/* Makes all permitted capabilities of this thread effective. setfsuid(2) to another user than root has
 * removed some of them from the effective set. */
int capability_raise(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Sets of capabilities are masks: bit n is capability n of capabilities(7). */

/* What the root of a container may have: enough to run a whole system in its own namespaces. */
extern const uint64_t capability_default_set;

/* "cap_sys_admin"; NULL for a number that this version does not know. */
const char *capability_to_string(unsigned capability) _const_;
/* In any case, with or without "cap_". -EINVAL for no capability. */
int capability_from_string(const char *s);

/* Narrows the bounding set of this process and empties its inheritable and ambient ones. */
int capability_apply_bounding(uint64_t keep);

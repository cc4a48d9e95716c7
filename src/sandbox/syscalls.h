/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Which system calls a machine may make, as data. */

typedef struct SyscallGroup {
        const char *name;  /* "@mount" */
        const char *calls; /* blank separated; may contain other groups */
} SyscallGroup;

extern const SyscallGroup syscall_groups[];
extern const size_t n_syscall_groups;

/* The group of that name, or NULL. */
const SyscallGroup *syscall_group_find(const char *name);

/* Calls that are younger than libseccomp may be: their numbers are the same on all architectures. -1 for
 * none. */
int syscall_number_fallback(const char *name);

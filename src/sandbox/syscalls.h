/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* The system calls that a machine may use, as data. */

typedef struct SyscallGroup {
        const char *name;  /* "@mount" */
        const char *calls; /* separated by blanks; may contain other groups */
} SyscallGroup;

extern const SyscallGroup syscall_groups[];
extern const size_t n_syscall_groups;

/* Returns the group of this name, or NULL. */
const SyscallGroup *syscall_group_find(const char *name);

/* Returns the number of a call that libseccomp may not know yet. New calls have the same number on all
 * architectures. -1 for another call. */
int syscall_number_fallback(const char *name);

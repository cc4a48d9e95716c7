/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "macro.h"

/* When a process started, in clock ticks since boot (proc_pid_stat(5), field 22). With its number that names a
 * process for good. -ESRCH when there is none. */
int process_start_time(pid_t pid, uint64_t *ret_ticks);

/* The number of the process behind a pidfd, from what /proc says of the descriptor. -ESRCH when it has ended, -EBADF for
 * another kind of descriptor. */
int pidfd_to_pid(int fd, pid_t *ret);

/* The cgroup of a process in the unified hierarchy ("/system.slice/…"), 0 being ourselves. -ENODATA where there is
 * no unified hierarchy. The caller frees it. */
int process_cgroup(pid_t pid, char **ret);

/* Whether the process that began then still runs; one that nobody has waited for yet does not. */
bool process_lives(pid_t pid, uint64_t start_ticks);

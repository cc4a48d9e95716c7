/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "macro.h"

/* Returns the start time of a process in clock ticks since boot (proc_pid_stat(5), field 22). PID and start
 * time together identify a process for good. -ESRCH if there is no such process. */
int process_start_time(pid_t pid, uint64_t *ret_ticks);

/* Returns the PID of the process of a pidfd, from /proc/self/fdinfo. -ESRCH if the process has ended, -EBADF
 * for a descriptor of another kind. */
int pidfd_to_pid(int fd, pid_t *ret);

/* Returns the cgroup of a process in the unified hierarchy ("/system.slice/…"); `pid` 0 is the calling
 * process. -ENODATA if there is no unified hierarchy. The caller frees the path. */
int process_cgroup(pid_t pid, char **ret);

/* Whether the process with this PID and start time still runs. A zombie does not run. */
bool process_lives(pid_t pid, uint64_t start_ticks);

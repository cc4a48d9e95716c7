/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* System calls that glibc 2.36 does not offer. Each returns the result of the kernel: a value, or -1 and
 * errno. */

#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline int sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
        return syscall(SYS_openat2, dir_fd, path, how, sizeof(*how));
}

/* Only without a stack in `args`: the child continues where the parent called. */
static inline pid_t sys_clone3(const struct clone_args *args)
{
        return syscall(SYS_clone3, args, sizeof(*args));
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
        return syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_quotactl_fd(int fd, unsigned command, uint32_t id, void *argument)
{
        return syscall(SYS_quotactl_fd, fd, command, id, argument);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* A line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
typedef struct KernelMount {
        unsigned major, minor;
        const char *root;    /* of the mount within the file system */
        const char *point;   /* the mount point */
        const char *fs;      /* "ext4" */
        const char *options; /* of the file system, still escaped */
} KernelMount;

/* Calls `call` for each mount of PID 1, in the order of the kernel. If `call` returns another value than 0,
 * this ends the loop and is returned. The entry is valid only during the call. */
int mountinfo_each(int (*call)(void *userdata, const KernelMount *entry), void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* A line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
typedef struct KernelMount {
        unsigned major, minor;
        const char *root;    /* of the mount within the file system */
        const char *point;   /* where it is */
        const char *fs;      /* "ext4" */
        const char *options; /* of the file system, as they are written there */
} KernelMount;

/* Calls for all mounts of PID 1, in their order, until that returns something else than 0, which is returned. */
int mountinfo_each(int (*call)(void *userdata, const KernelMount *entry), void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Files of a running machine: copies, archives, mounts. A machine that a user registered may be a process in
 * the namespaces of the host, or a process with a forged mount namespace. So no worker of root handles files
 * of a user's machine. */

typedef struct CopyArguments {
        char *source, *destination; /* an empty destination stands for the path of the source */
        uint64_t flags;
} CopyArguments;

/* Flags of copies. */
#define COPY_REPLACE UINT64_C(1)
#define COPY_INTO    UINT64_C(2) /* not allowed to clients of systemd */

typedef struct ArchiveArguments {
        char *source, *destination; /* the descriptor of an archive */
        int fd;
        uint64_t flags;
} ArchiveArguments;

typedef struct BindArguments {
        char *source, *destination;
        bool read_only, mkdir;
} BindArguments;

extern const Operation operation_copy_to, operation_copy_from;
extern const Operation operation_archive, operation_extract;
extern const Operation operation_bind, operation_unbind;

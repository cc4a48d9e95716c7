/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Files of a machine that runs: copies, archives, mounts. What somebody registered may be a process in the
 * namespaces of the host, or see its files in a mount namespace of his own: no work of root is done for a
 * user's machine. */

typedef struct CopyArguments {
        char *source, *destination; /* no destination is the source's path */
        uint64_t flags;
} CopyArguments;

/* Flags of copies. */
#define COPY_REPLACE UINT64_C(1)
#define COPY_INTO    UINT64_C(2) /* not for clients of systemd */

typedef struct ArchiveArguments {
        char *source, *destination; /* one of them */
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

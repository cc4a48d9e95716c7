/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/stack.h"
#include "worker/worker.h"

/* A stack of the store whose snapshots are made, or looked at. */
typedef struct Subject {
        int store_fd, lock_fd; /* of the layers */
        int fd;                /* the directory of the stack */
        Stack stack;
} Subject;

#define SUBJECT_NONE ((Subject){ .store_fd = -EBADF, .lock_fd = -EBADF, .fd = -EBADF })

/* Opens one, with the layers locked; a directory becomes a stack where it is to be converted. -EOPNOTSUPP for other images. Clear it whatever
 * comes back. */
int subject_open(const char *name, bool convert, Subject *ret, char **ret_error);
void subject_clear(Subject *subject);
#define _cleanup_subject_ _cleanup_(subject_clear)

/* The snapshot of that name, or the last one for "". -ENOENT, with a text. */
int subject_find_snapshot(const Stack *stack, const char *name, size_t *ret, char **ret_error);

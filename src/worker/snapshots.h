/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/stack.h"
#include "image/store.h"
#include "worker/worker.h"

/* An image of the store that has snapshots: a stack, or a subvolume, of which the manifest has the snapshots alone, without layers. */
typedef struct Subject {
        int store_fd, lock_fd; /* of the layers */
        int fd;                /* the directory of the stack, or the subvolume */
        ImageType type;
        const char *name; /* of the image, borrowed */
        Stack stack;
} Subject;

#define SUBJECT_NONE ((Subject){ .store_fd = -EBADF, .lock_fd = -EBADF, .fd = -EBADF })

/* Opens one, with the layers locked; a directory becomes a stack where it is to be converted. -EOPNOTSUPP for other images. Clear it whatever
 * comes back. */
int subject_open(const char *name, bool convert, Subject *ret, char **ret_error);
void subject_clear(Subject *subject);
#define _cleanup_subject_ _cleanup_(subject_clear)

/* The snapshot of that name, or the last one for "". -ENOENT, with a text. */
int subject_find_snapshot(const Subject *subject, const char *name, size_t *ret, char **ret_error);

/* -EEXIST, with a text, where there is one of that name. */
int subject_check_label(const Subject *subject, const char *name, char **ret_error);

/* -EBUSY, with a text, where a machine runs from what is a snapshot now. */
int subject_check_unused(const Subject *subject, const char *name, char **ret_error);

/* Takes a snapshot, if there is one of that name, out of a manifest that is not written yet. */
void subject_drop(Subject *subject, const char *name);

/* Opens the tree of a snapshot, or what it is now for NULL, to be read. */
int subject_open_tree(const Subject *subject, const Snapshot *snapshot);

/* Makes that, of these layers, one of the snapshots of a stack, whose manifest is not written yet; both are taken over. */
int subject_append(Subject *subject, char **name, Layers *layers);

/* Opens one that is a directory still, and whoever runs from it must not: for what is done first with an image. `image_lock` is given back by the
 * caller. -EBUSY, with a text. */
int subject_open_first(int run_fd, const char *name, StoreLock *image_lock, Subject *ret, char **ret_error);

/* The time, as the name of a snapshot behind `prefix`. The caller frees it. */
char *snapshot_name_now(const char *prefix);

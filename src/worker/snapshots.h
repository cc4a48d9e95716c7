/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/stack.h"
#include "store/store.h"
#include "worker/job.h"

/* An image that can have snapshots: a stack or a subvolume. For a subvolume, `stack` has only the snapshots,
 * and these have no layers. */
typedef struct Subject {
        int store_fd, lock_fd; /* lock_fd: the lock of stack_lock() */
        int fd;                /* the directory of the stack, or the subvolume */
        ImageType type;
        const Scope *scope;
        const char *name; /* of the image, borrowed */
        Stack stack;
} Subject;

#define SUBJECT_NONE ((Subject){ .store_fd = -EBADF, .lock_fd = -EBADF, .fd = -EBADF })

/* Opens an image, and takes the lock of layers. With `convert`, a directory becomes a stack first.
 * -EOPNOTSUPP for other types of images. The caller clears *ret, also after an error. */
int subject_open(const Scope *scope, const char *name, bool convert, Subject *ret, char **ret_error);
void subject_clear(Subject *subject);
#define _cleanup_subject_ _cleanup_(subject_clear)

/* Finds a snapshot by its name, or the newest snapshot if `name` is empty. *ret is the index in
 * stack.snapshots. -ENOENT, with a text. */
int subject_find_snapshot(const Subject *subject, const char *name, size_t *ret, char **ret_error);

/* Returns -EEXIST, with a text, if the image has a snapshot of this name. */
int subject_check_label(const Subject *subject, const char *name, char **ret_error);

/* Returns -EBUSY, with a text, if a machine runs from the tree of this snapshot. */
int subject_check_unused(const Subject *subject, const char *name, char **ret_error);

/* Removes the snapshot of this name, if there is one, from subject->stack. The caller writes the
 * manifest. */
void subject_drop(Subject *subject, const char *name);

/* Opens the tree of a snapshot for reading; for NULL, the current tree of the image. */
int subject_open_tree(const Subject *subject, const Snapshot *snapshot);

/* Appends a snapshot of these layers to subject->stack, and takes over both arguments. The caller writes the
 * manifest. */
int subject_append(Subject *subject, char **name, Layers *layers);

/* Opens an image to make a snapshot or to switch its contents. A directory becomes a stack, and the caller
 * gives back `image_lock`. -EBUSY, with a text, if a machine runs from the directory, or if a stack is
 * mounted on the host. -EROFS for a read-only stack. The caller holds the lock of run_dir_lock(). */
int subject_open_first(const Scope *scope, int run_fd, const char *name, StoreLock *image_lock, Subject *ret,
                       char **ret_error);

/* Makes the name of a snapshot: `prefix`, and the current time in UTC. The caller frees the name; NULL when
 * out of memory. */
char *snapshot_name_now(const char *prefix);

/* Makes, renames and removes snapshots; see work.h. */
int work_snapshot(const Job *job, char **ret_error);
int work_rename_snapshot(const Job *job, char **ret_error);
int work_remove_snapshot(const Job *job, char **ret_error);

/* Thaws a machine that a killed worker has left frozen. */
int work_thaw(const Job *job, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"
#include "basic/tree.h"
#include "store/image.h"
#include "store/stack.h"

/* Changes of the images of a store, which is a directory of images. Others see a change completely or not at
 * all. An image that is being made or removed has a hidden name. If the program is killed, the next one that
 * opens the store removes the hidden files.
 *
 * Files beside an image (beside.h) follow each change. `store_fd` is a descriptor of store_open(). */

/* Opens a store for changes, and makes its directory if it is missing. If nobody else has the store open for
 * changes, hidden files of killed programs are removed. The process shares the lock of the store until it
 * exits. */
int store_open(const char *path);

/* Whether an image has this name, or any other file is in its way. */
bool store_has(int store_fd, const char *name);

/* Flags for clones. */
#define STORE_READ_ONLY     1U
#define STORE_COPY          2U  /* share no data, however long the copy takes */
#define STORE_KEEP_IDENTITY 4U  /* do not remove the identity (identity.h) */
#define STORE_PLAIN         8U  /* no stack, for tools that do not know stacks */
#define STORE_CLONE_FLAGS   15U /* all of these */

/* Clones an image. A clone of a subvolume is a snapshot of btrfs. A clone of a disk is a file, which shares
 * data if the file system can. Clones of directories and stacks are stacks, and take no time. Without
 * STORE_COPY, nobody may write to a directory or a stack meanwhile. -ENOENT, -EEXIST. `copy` carries the
 * callbacks for progress and cancellation. After an error, copy->failed names the first file that could not
 * be copied, or is "". */
int store_clone(int store_fd, const char *name, const char *new_name, unsigned flags, TreeCopy *copy);

/* Opens an image that can have snapshots, a stack or a subvolume, under the lock of layers. With
 * `convert_it`, a directory becomes a stack first. -EOPNOTSUPP for other images. */
int store_open_versioned(int store_fd, const char *name, bool convert_it, ImageType *ret_type);

/* Returns the layers below a new stack that shares the content of an image, under the lock of layers. Shared
 * layers must not change: if the first layer has changes, the image gets a new first layer. A directory
 * becomes a stack, or a base if it is read-only or a base already. -EOPNOTSUPP for other images. */
int store_share(int store_fd, const char *name, Layers *ret);

/* Destroys layers that no manifest names, and snapshots whose subvolume is gone. Called without the lock of
 * layers. */
void store_sweep_layers(int store_fd);

/* Opens the tree of an image for reading. A stack is mounted, attached nowhere. -ENOTDIR for disks. */
int store_open_tree(int store_fd, const char *name);

/* Makes an empty image under a hidden name, which the caller frees: a file for a disk, otherwise a subvolume
 * if the file system has these, or a directory. The caller fills it, syncs the file system, and calls
 * store_commit(), which gives it its name. If an image has that name already, store_commit() fails with
 * -EEXIST, or with `replacing` gives the hidden name to that image. The caller passes an image that is not
 * committed to store_destroy(). */
int store_begin(int store_fd, ImageType type, char **ret_hidden);
int store_commit(int store_fd, ImageType type, const char *hidden, const char *name, bool replacing);

/* A lock of an image as systemd's tools take it, on a file ".#NAME.lck" beside the image. */
typedef struct StoreLock {
        int store_fd;
        int fd; /* negative if not locked */
        char *file;
} StoreLock;

/* Locks an image exclusively, or shared for reading. -EBUSY if another process has a lock that conflicts.
 * store_unlock_image() removes the lock file if no other process has a lock, and does nothing if l->fd is
 * negative. */
int store_lock_image(int store_fd, const char *name, bool exclusive, StoreLock *ret);
void store_unlock_image(StoreLock *lock);
#define _cleanup_store_lock_ _cleanup_(store_unlock_image)

/* Renames an image. -ENOENT, -EEXIST. */
int store_rename(int store_fd, const char *name, const char *new_name);

/* Removes an image, read-only or not, in two steps. store_hide() gives it a hidden name, which the caller
 * frees. store_destroy_image() then destroys it, with the layers that no other image has. -ENOENT.
 * store_destroy() destroys a hidden file that never was an image, and no layers. If something cannot be
 * removed, ret_failed is set to its path, as by tree_remove_all(); the next store_open() tries again.
 * ret_failed may be NULL. */
int store_hide(int store_fd, const char *name, char **ret_hidden);
int store_destroy_image(int store_fd, const char *hidden, char **ret_failed);
int store_destroy(int store_fd, const char *hidden, char **ret_failed);

/* Makes an image read-only or writable: by the flag of a subvolume, the immutable flag of a directory (for
 * this directory alone, not for those below), or the mode of a file. -EOPNOTSUPP if the file system has no
 * such flag. store_try_read_only() tries this with an image that is being made, and leaves it writable. */
int store_set_read_only(int store_fd, const char *name, bool read_only);
int store_try_read_only(int store_fd, const char *hidden);

/* Limits how much may be written to an image (quota.h), in bytes, UINT64_MAX for no limit. -ENOTDIR for
 * disks. -EAGAIN if the image must be adopted first: store_adopt() does this and sets the limit. Adopting
 * takes time, and nobody else may use the image meanwhile. After a failure, copy->failed names the file.
 * -EROFS for a read-only image. */
int store_set_limit(int store_fd, const char *name, uint64_t limit);
int store_adopt(int store_fd, const char *name, uint64_t limit, TreeCopy *copy);
uint64_t store_get_limit(int store_fd, const char *name);

/* Enables quotas on the file system of a subvolume. -EOPNOTSUPP for other images. */
int store_enable_quotas(int store_fd, const char *name);

/* Returns the names of all images, or only of hidden ones (".NAME"). The caller frees the list. */
int store_list(int store_fd, bool all, Strv *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"
#include "basic/tree.h"
#include "image/image.h"
#include "image/stack.h"

/* What changes the images of a store, a directory of images. A change is seen whole or not at all: what is being made or
 * removed has a hidden name, which whoever changes something next sweeps away, if we were killed over it.
 *
 * Files beside an image (beside.h) go where it goes. `store_fd` is from store_open(). */

/* Opens a store for changes, and sweeps it where nobody else changes it. */
int store_open(const char *path);

/* Whether there is an image of that name, or anything else that is in its way. */
bool store_has(int store_fd, const char *name);

/* What clones are to be. */
#define STORE_READ_ONLY     1U
#define STORE_COPY          2U /* share nothing, whatever the time */
#define STORE_KEEP_IDENTITY 4U /* else it is no machine that is known: identity.h */
#define STORE_PLAIN         8U /* what others' tools know: no stack */

/* Makes an image that has what another one has: a subvolume of btrfs by a snapshot, a disk as a file that shares its data where the
 * file system can, directories and stacks as stacks, in no time. What is written to by somebody has to be copied: the caller
 * sees to that. -ENOENT, -EEXIST. `copy` has nobody told but of progress, and whom; after an error, it says what could not be copied, or nothing. */
int store_clone(int store_fd, const char *name, const char *new_name, unsigned flags, TreeCopy *copy);

/* Opens an image that has snapshots, a stack or a subvolume, under the lock of layers. A directory becomes a stack first where it is to be
 * converted; -EOPNOTSUPP for all else. */
int store_open_versioned(int store_fd, const char *name, bool convert_it, ImageType *ret_type);

/* What the tree of an image is made of, for a stack over it: what it was until now is both theirs from now on, and a directory becomes a stack,
 * or a base where it is read-only. Under the lock of layers. -EOPNOTSUPP for other images. */
int store_share(int store_fd, const char *name, Layers *ret);

/* Destroys the layers that belong to nobody. Not under the lock of layers. */
void store_sweep_layers(int store_fd);

/* Opens the tree of an image, to be read: of a stack, it is mounted, attached nowhere. -ENOTDIR for disks. */
int store_open_tree(int store_fd, const char *name);

/* A new image, to be filled: an empty file for a disk, else an empty directory, or subvolume of btrfs, under a hidden name, which the
 * caller frees. With store_commit() it has its name, once the caller has synced the file system; -EEXIST where something else
 * has that, unless it is to be replaced: then that has the hidden name afterwards. What is not committed is store_destroy()ed. */
int store_begin(int store_fd, ImageType type, char **ret_hidden);
int store_commit(int store_fd, ImageType type, const char *hidden, const char *name, bool replacing);

/* A lock of an image as systemd's tools take it, on a file ".#NAME.lck" beside it. */
typedef struct StoreLock {
        int store_fd;
        int fd; /* negative for none */
        char *file;
} StoreLock;

/* Locks an image exclusively, or shared by who only reads; -EBUSY where somebody else has it. Giving it back removes the file where
 * nobody else has it; for what is empty, it does nothing. */
int store_lock_image(int store_fd, const char *name, bool exclusive, StoreLock *ret);
void store_unlock_image(StoreLock *lock);
#define _cleanup_store_lock_ _cleanup_(store_unlock_image)

/* Gives an image another name. -ENOENT, -EEXIST. */
int store_rename(int store_fd, const char *name, const char *new_name);

/* Removes an image, whether read-only or not, in two parts: it gets a hidden name, at once, which the caller frees; and what has
 * that is destroyed, with the layers that nobody else has. The last is for what was never an image. -ENOENT. */
int store_hide(int store_fd, const char *name, char **ret_hidden);
int store_destroy_image(int store_fd, const char *hidden);
int store_destroy(int store_fd, const char *hidden);

/* Whether nobody can write to an image: a flag of a subvolume, the immutable flag of a directory, which is for
 * the directory itself, the mode of a file. -EOPNOTSUPP where the file system has none. The other tries that with one
 * that is being made, which can be written to afterwards. */
int store_set_read_only(int store_fd, const char *name, bool read_only);
int store_try_read_only(int store_fd, const char *hidden);

/* How much may be written to an image, in bytes, UINT64_MAX for no limit: quota.h. -ENOTDIR for disks; -EAGAIN for one that has to be adopted
 * first, which gives it the limit as well, takes its time, and needs nobody else to use it. After a failure, `copy` says what it is about. -EROFS for one that nobody can write to. */
int store_set_limit(int store_fd, const char *name, uint64_t limit);
int store_adopt(int store_fd, const char *name, uint64_t limit, TreeCopy *copy);
uint64_t store_get_limit(int store_fd, const char *name);

/* Has the file system of a subvolume count. -EOPNOTSUPP for other images. */
int store_enable_quotas(int store_fd, const char *name);

/* The names of images that are hidden (".NAME"), or of all. The caller frees them. */
int store_list(int store_fd, bool all, Strv *ret);

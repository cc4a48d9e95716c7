/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"

/* Copies and removes trees of files. Everything is reached by a descriptor and a single name that is not followed, and what
 * was made is known again by its owner, so who changes the tree meanwhile can change what is copied, and never where.
 *
 * What is new appears under its name when it is whole: until then it has a hidden one. */

/* How hidden names begin, so that others can tell what was left by who was killed. */
#define TREE_HIDDEN ".#mctl-"

/* The users of one side: `base` is user and group 0 there, and `size` follow. The host's own are { 0, UINT32_MAX }. */
typedef struct TreeUsers {
        uid_t base;
        uint32_t size;
} TreeUsers;

#define TREE_FAILED_MAX 1024U

typedef struct TreeCopy {
        TreeUsers from, to;
        bool replace; /* files that are there; else -EEXIST. Directories are always merged */
        /* The source is a stranger's: no program of it gains what its file says (set-user-ID, set-group-ID, file
         * capabilities), and its device nodes are root's alone. */
        bool distrust;
        bool layer; /* of overlayfs: what it keeps for itself in attributes goes along */
        /* Asked often, by any thread, whether it is to end: -ECANCELED. And told now and then, by one thread at a time, how many bytes have been
         * copied. Either may be NULL. */
        bool (*is_cancelled)(void);
        void (*progress)(void *userdata, uint64_t bytes);
        void *userdata;
        char failed[TREE_FAILED_MAX]; /* after an error: what it is about, from `name` on */
} TreeCopy;

/* From one tree of the host to another. */
#define TREE_COPY_ALL ((TreeCopy){ .from = { 0, UINT32_MAX }, .to = { 0, UINT32_MAX } })

/* Copies, between trees of the host in several threads, what source_fd (O_PATH, no link followed) points to to `name` below parent_fd: content and holes, owners, modes,
 * times, hard links, extended attributes in "user.", file capabilities, access lists, and nodes of all types. A file of
 * another file system is copied as well, but for those that only show what the kernel knows (procfs and its like), which
 * are empty directories. Where a side is a machine's, its directories and sources must belong to its users: -EACCES for what
 * others have there. */
int tree_copy(TreeCopy *copy, int source_fd, int parent_fd, const char *name);

/* The same for all that is in a directory, and then its owner, mode, times and attributes, into one that is there. */
int tree_copy_children(TreeCopy *copy, int source_fd, int target_fd);

/* Removes `name` below parent_fd with all that is in it. Nothing there is no error. */
int tree_remove(int parent_fd, const char *name);

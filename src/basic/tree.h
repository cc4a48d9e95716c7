/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"

/* Copies and removes trees of files. Everything is reached by a descriptor and a single name that is not followed, so who
 * changes the tree meanwhile can change what is copied, and never where.
 *
 * What is new appears under its name when it is whole: until then it has a hidden one. */

/* The users of one side: `base` is user and group 0 there, and `size` follow. The host's own are { 0, UINT32_MAX }. */
typedef struct TreeUsers {
        uid_t base;
        uint32_t size;
} TreeUsers;

typedef struct TreeCopy {
        TreeUsers from, to;
        bool replace; /* files that are there; else -EEXIST. Directories are always merged */
        /* The source is a stranger's: no program of it gains what its file says (set-user-ID, set-group-ID, file
         * capabilities), and its device nodes are root's alone. */
        bool distrust;
        char failed[256]; /* after an error: the name that it is about */
} TreeCopy;

/* Copies what source_fd (O_PATH, no link followed) points to to `name` below parent_fd: content and holes, owners, modes,
 * times, hard links, extended attributes in "user.", file capabilities, access lists, and nodes of all types. A file of
 * another file system is copied as well, but for those that only show what the kernel knows (procfs and its like), which
 * are empty directories. The caller may act as any user of the target; see tree_act_as(). */
int tree_copy(TreeCopy *copy, int source_fd, int parent_fd, const char *name);

/* From here on, files are made by this user and group, with all that the caller may do. Where owners of a mount are mapped,
 * it takes one who has a number there. */
int tree_act_as(uid_t id);

/* Removes `name` below parent_fd with all that is in it. Nothing there is no error. */
int tree_remove(int parent_fd, const char *name);

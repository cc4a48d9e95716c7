/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"

/* Copies and removes trees of files. Every file is reached by a descriptor and a single name, and links are
 * not followed. A new file is recognised by its owner when it is opened again. So if somebody changes the
 * tree meanwhile, this changes what is copied, and never where.
 *
 * A new file or tree has a hidden name until it is complete. */

/* Prefix of hidden names. By this prefix, other code finds what killed processes have left. */
#define TREE_HIDDEN ".#mctl-"

/* The users of one side: `base` is the ID of user and group 0, and `size` IDs belong to the side. All users
 * of the host are { 0, UINT32_MAX }. */
typedef struct TreeUsers {
        uid_t base;
        uint32_t size;
} TreeUsers;

#define TREE_FAILED_MAX 1024U

typedef struct TreeCopy {
        TreeUsers from, to;
        bool replace; /* replace existing files, else -EEXIST. Directories are always merged */
        /* The source is not trusted. Its files lose set-user-ID, set-group-ID and file capabilities, and
         * only root can open its device nodes. */
        bool distrust;
        bool layer; /* a layer of overlayfs: copy the "trusted.overlay." attributes as well */
        /* Any thread often calls is_cancelled(): true ends the copy with -ECANCELED. One thread at a time
         * calls progress() now and then, with the number of bytes that have been copied. Either may be
         * NULL. */
        bool (*is_cancelled)(void);
        void (*progress)(void *userdata, uint64_t bytes);
        void *userdata;
        /* after an error: the file that failed, as a path that begins with `name` */
        char failed[TREE_FAILED_MAX];
} TreeCopy;

/* Copies from one tree of the host to another. */
#define TREE_COPY_ALL ((TreeCopy){ .from = { 0, UINT32_MAX }, .to = { 0, UINT32_MAX } })

/* Copies the file or directory source_fd (O_PATH, a link itself) to `name` below parent_fd: content and
 * holes, owners, modes, times, hard links, extended attributes in "user.", file capabilities, access lists,
 * and nodes of all types. Other file systems below the source are copied as well. Directories of procfs and
 * similar views of the kernel become empty directories; for their files, -EOPNOTSUPP. Between trees of the
 * host, several threads copy a directory. If a side is a machine's, directories and sources on this side
 * must belong to the users of the machine, else -EACCES. */
int tree_copy(TreeCopy *copy, int source_fd, int parent_fd, const char *name);

/* Copies all files in a directory into an existing directory, then its owner, mode, times and attributes.
 * See tree_copy(). */
int tree_copy_children(TreeCopy *copy, int source_fd, int target_fd);

/* Removes `name` below parent_fd and everything in it. Immutable flags of files are lifted, and mounts are
 * not entered. A missing file is no error. A file that cannot be removed does not keep the others: the
 * second function then sets ret_failed to the path of the first such file, which begins with `name`. The
 * caller frees the path. */
int tree_remove(int parent_fd, const char *name);
int tree_remove_all(int parent_fd, const char *name, char **ret_failed);

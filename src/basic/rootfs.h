/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "fd.h"

/* The only door into a tree that a container can write. Every path is resolved by the kernel with the tree as its
 * root (openat2(2), RESOLVE_IN_ROOT): links, absolute ones too, stay below it, and the magic links of procfs are
 * refused. A lint sees to it that nobody else resolves paths there.
 *
 * `root_fd` is a directory, O_PATH or not; `path` is absolute or relative to it, which is the same here. */

/* Opens a path with the flags of open(2), O_CLOEXEC added. Not for O_CREAT. Returns a descriptor. */
int rootfs_open(int root_fd, const char *path, int flags);

/* Whether that is a link. */
bool rootfs_is_link(int root_fd, const char *path);

/* Whether there is something of that name; a link counts, wherever it leads. */
bool rootfs_exists(int root_fd, const char *path);

/* Reads a regular file of at most `max` bytes (see fd_read_all()), without waiting where it is something else.
 * -EBADFD when it is no regular file, -EFBIG when it is larger. */
int rootfs_read_file(int root_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* Opens the directory `path`, making each missing component with this mode, owned by the caller's file system ids.
 * A component that exists must be a directory, or a link to one below the root. Returns an O_PATH descriptor. */
int rootfs_make_dir(int root_fd, const char *path, mode_t mode);

/* Opens the file that `path` names, of whatever type, making an empty regular one where there is none, and its
 * parents; where a link leads to nothing, that. For mount points. Returns an O_PATH descriptor. */
int rootfs_make_file(int root_fd, const char *path, mode_t mode);

/* Writes a new file, with its parents made; what has the name already is -EEXIST. */
int rootfs_write_file(int root_fd, const char *path, mode_t mode, const void *data, size_t size);

/* Writes a text to an existing file with one call, as kernel interfaces want it. */
int rootfs_poke(int root_fd, const char *path, const char *text);

/* Removes a file or link itself. One that is not there is no error. */
int rootfs_remove(int root_fd, const char *path);

/* Makes a symbolic link, with its parents made; what has the name already is -EEXIST. */
int rootfs_make_link(int root_fd, const char *target, const char *path);

/* The path of `path` with every link on the way resolved, as the container sees it. -EXDEV where that is not below
 * the root. The caller frees it. */
int rootfs_resolve(int root_fd, const char *path, char **ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "fd.h"

/* The only way into a tree that a container can write. The kernel resolves every path with the tree as the
 * root (openat2(2), RESOLVE_IN_ROOT): links, also absolute ones, stay below the root, and the magic links of
 * procfs are refused. The lint tests/lint/paths finds all other code that resolves paths.
 *
 * `root_fd` is a directory, O_PATH or not. `path` may be absolute or relative, with the same meaning. */

/* Opens a path with the flags of open(2). O_CLOEXEC is added; O_CREAT and O_TMPFILE are not allowed. Returns
 * a descriptor. */
int rootfs_open(int root_fd, const char *path, int flags);

/* Whether a path is a symbolic link. */
bool rootfs_is_link(int root_fd, const char *path);

/* Whether a path exists. A link counts, even a dangling one. */
bool rootfs_exists(int root_fd, const char *path);

/* Reads a regular file of at most `max` bytes, see fd_read_all(). A file of another type does not block the
 * call. -EBADFD if the file is not regular, -EFBIG if it is larger. */
int rootfs_read_file(int root_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* Opens the directory `path`, and makes it with this mode if it is missing. Missing parents get mode 0755.
 * The caller's file system IDs own new directories. An existing component must be a directory, or a link to
 * a directory below the root. Returns an O_PATH descriptor. */
int rootfs_make_dir(int root_fd, const char *path, mode_t mode);

/* Opens the file `path` of any type. If there is none, makes an empty regular file and its missing parents.
 * If `path` is a dangling link, makes the target of the link. For mount points. Returns an O_PATH
 * descriptor. */
int rootfs_make_file(int root_fd, const char *path, mode_t mode);

/* Writes a new file, and makes its missing parents. -EEXIST if the name exists. */
int rootfs_write_file(int root_fd, const char *path, mode_t mode, const void *data, size_t size);

/* Writes a text to an existing file in a single write(2), as interfaces of the kernel require. */
int rootfs_poke(int root_fd, const char *path, const char *text);

/* Removes a file, or a link itself. A missing file is no error. */
int rootfs_remove(int root_fd, const char *path);

/* Makes a symbolic link and its missing parents. -EEXIST if the name exists. */
int rootfs_make_link(int root_fd, const char *target, const char *path);

/* Returns `path` with all links resolved, as the container sees it. -EXDEV if the result is not below the
 * root. The caller frees the path. */
int rootfs_resolve(int root_fd, const char *path, char **ret);

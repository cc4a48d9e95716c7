/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include "macro.h"

/* Closes a descriptor unless it is negative, and keeps errno. Returns -EBADF, for an assignment to the
 * variable. */
int fd_close(int fd);

/* Closes all descriptors but 0, 1, 2 and the n in `keep`, which are at most 8. */
int fd_close_others(const int *keep, size_t n);

static inline void fd_close_cleanup(int *fd)
{
        fd_close(*fd);
}
#define _cleanup_close_ _cleanup_(fd_close_cleanup)

DEFINE_CLEANUP(DIR *, closedir);
DEFINE_CLEANUP(FILE *, fclose);

/* Whether a descriptor can be read or written as a stream. Directories and O_PATH descriptors are refused: a
 * process that gets one could reach other files through it. */
bool fd_is_stream(int fd);

/* Size of a buffer for "/proc/self/fd/" and a number. */
#define FD_PATH_MAX (sizeof("/proc/self/fd/") + 11)

/* Writes the magic link of a descriptor to buf, which must hold FD_PATH_MAX bytes, and returns buf. For
 * calls that take a path only. */
char *fd_path(int fd, char *buf);

/* Returns the current path of the file behind a descriptor, or NULL if it has none, as a socket. The caller
 * frees the path. */
char *fd_name(int fd);

/* Opens the file behind an O_PATH descriptor again, with these flags. Returns a descriptor or a negative
 * errno. */
int fd_reopen(int fd, int flags);

/* Reads from a descriptor to its end. The caller frees ret_data, which has a NUL byte behind its ret_size
 * bytes. ret_size may be NULL. -EFBIG for more than `max` bytes. */
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_size);

/* Writes all `size` bytes, with as many calls of write(2) as needed. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads the regular file `path` below dir_fd, see fd_read_all(). A file of another type does not block the
 * call. -ELOOP if the last component is a link, -EBADFD if the file is not regular. For the host's own
 * files. */
int file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* Replaces the file `path` below dir_fd atomically: a reader, also after a crash, sees either the old or the
 * new content. */
int file_write_atomic_at(int dir_fd, const char *path, mode_t mode, const void *data, size_t size);

/* Writes a string to an existing file in a single write(2), as interfaces of the kernel require. Creates no
 * file. */
int file_poke_at(int dir_fd, const char *path, const char *value);

/* Opens the directory `path` below dir_fd for reading. -ELOOP or -ENOTDIR if the last component is a
 * link. */
int dir_open_at(int dir_fd, const char *path);

/* Opens the directory `path` below dir_fd, and makes missing components with this mode. Links are followed,
 * so this is only for the host's own directories. Returns a descriptor. */
int dir_open_or_make_at(int dir_fd, const char *path, mode_t mode);

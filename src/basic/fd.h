/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include "macro.h"

/* Closes a descriptor unless it is negative, and keeps errno. Returns -EBADF, to be assigned. */
int fd_close(int fd);

/* Closes all descriptors but 0, 1, 2 and the n in `keep`. */
int fd_close_others(const int *keep, size_t n);

static inline void fd_close_cleanup(int *fd)
{
        fd_close(*fd);
}
#define _cleanup_close_ _cleanup_(fd_close_cleanup)

DEFINE_CLEANUP(DIR *, closedir);
DEFINE_CLEANUP(FILE *, fclose);

/* Whether it can be read or written as a stream: a directory, or a descriptor of a mere path, would be a way out for who gets
 * it. */
bool fd_is_stream(int fd);

/* Room for "/proc/self/fd/" and a number. */
#define FD_PATH_MAX (sizeof("/proc/self/fd/") + 11)

/* Writes the magic link of a descriptor to buf, which must hold FD_PATH_MAX bytes, and returns it. For calls
 * that take no descriptor. */
char *fd_path(int fd, char *buf);

/* The path that a descriptor was opened by, as it is now. The caller frees it; NULL where there is none. */
char *fd_name(int fd);

/* Opens what an O_PATH descriptor points to anew, with these flags. Returns a descriptor or a negative errno. */
int fd_reopen(int fd, int flags);

/* Reads from a descriptor to its end. ret_data is the caller's to free and has a NUL byte behind its ret_size
 * bytes (ret_size may be NULL). More than max bytes: -EFBIG. */
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_size);

/* Writes all of it, however many calls that takes. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads the regular file `path` below dir_fd, without waiting on anything else it may be; see fd_read_all(). A
 * last component that is a link is -ELOOP, what is no regular file -EBADFD. For the host's own files. */
int file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* Puts `data` in the place of `path` below dir_fd, so that a reader or a crash sees the old or the new. */
int file_write_atomic_at(int dir_fd, const char *path, mode_t mode, const void *data, size_t size);

/* Writes one string to an existing file, as kernel interfaces want it: one write, nothing created. */
int file_poke_at(int dir_fd, const char *path, const char *value);

/* Opens the directory `path` below dir_fd, whose last component is no link, for reading. */
int dir_open_at(int dir_fd, const char *path);

/* Opens the directory `path` below dir_fd, making what is missing on the way with this mode. For the host's own
 * directories: it follows links. Returns a descriptor. */
int dir_open_or_make_at(int dir_fd, const char *path, mode_t mode);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ftw.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "test.h"

/* A directory for one test, which is removed at the end. Path calls are fine here: it is the test's own. */

static char test_dir_path[] = "/tmp/mctl-test.XXXXXX";

static inline int test_dir_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        (void) st;
        (void) flag;
        (void) ftw;
        return remove(path);
}

static inline void test_dir_remove(void)
{
        (void) nftw(test_dir_path, test_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static inline int test_dir_open(void)
{
        int fd = -EBADF;

        if (mkdtemp(test_dir_path)) {
                (void) atexit(test_dir_remove);
                fd = open(test_dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        if (fd < 0) {
                perror("Cannot make a directory for the test");
                exit(EXIT_FAILURE);
        }
        return fd;
}

static inline void test_put(int dir_fd, const char *path, const char *text)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        size_t n = strlen(text);

        if (fd < 0 || write(fd, text, n) != (ssize_t) n) {
                perror(path);
                exit(EXIT_FAILURE);
        }
}

static inline int test_put_dir(int dir_fd, const char *path)
{
        if (mkdirat(dir_fd, path, 0755) < 0) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        return openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The last one is NULL. */
static inline void test_put_dirs(int dir_fd, const char *const *paths)
{
        for (; *paths; paths++)
                fd_close(test_put_dir(dir_fd, *paths));
}

/* A link that leads nowhere exists, too. */
static inline bool test_exists(int dir_fd, const char *path)
{
        return faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

static inline int test_compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Names that came in no order, as one text. */
static inline char *test_join_sorted(Strv names)
{
        if (names)
                qsort(names, strv_length(names), sizeof(char *), test_compare_names);
        return strv_join(names, " ");
}

/* How many entries a directory has, hidden ones too. */
static inline int test_count(int dir_fd, const char *path)
{
        int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
        _cleanup_(closedir_cleanup) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                return -1;
        for (struct dirent *e; (e = readdir(dir));)
                n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
        return n;
}

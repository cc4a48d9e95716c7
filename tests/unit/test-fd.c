/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>

#include "test-dir.h"

static void test_read_limits(int dir_fd)
{
        _cleanup_free_ char *data = NULL;
        size_t size;

        test_put(dir_fd, "ten", "0123456789");
        CHECK_INT(file_read_at(dir_fd, "ten", 10, &data, &size), 0);
        CHECK_TEXT(data, "0123456789");
        CHECK_INT(size, 10);
        char *refused = NULL;
        CHECK_INT(file_read_at(dir_fd, "ten", 9, &refused, NULL), -EFBIG);
        CHECK(!refused);
        CHECK_INT(file_read_at(dir_fd, "ten", 0, &refused, NULL), -EFBIG);

        test_put(dir_fd, "empty", "");
        char *empty = NULL;
        CHECK_INT(file_read_at(dir_fd, "empty", 0, &empty, &size), 0);
        CHECK_TEXT(empty, "");
        CHECK_INT(size, 0);
        free(empty);

        /* A file of the kernel has no size, and more to read than one call gives. */
        char *kernel = NULL;
        CHECK_INT(file_read_at(AT_FDCWD, "/proc/self/status", 1 << 20, &kernel, &size), 0);
        CHECK(kernel && size > 100 && strlen(kernel) == size);
        free(kernel);
}

static void test_read_types(int dir_fd)
{
        char *data = NULL;

        CHECK_INT(file_read_at(dir_fd, "nothing", 10, &data, NULL), -ENOENT);
        CHECK_INT(symlinkat("ten", dir_fd, "link"), 0);
        CHECK_INT(file_read_at(dir_fd, "link", 10, &data, NULL), -ELOOP);
        CHECK_INT(mkfifoat(dir_fd, "fifo", 0600), 0);
        CHECK_INT(file_read_at(dir_fd, "fifo", 10, &data, NULL), -EBADFD);
        CHECK_INT(file_read_at(AT_FDCWD, "/dev/zero", 10, &data, NULL), -EBADFD);
        CHECK(file_read_at(dir_fd, ".", 10, &data, NULL) < 0);
        CHECK(!data);
}

/* A pipe gives what it has in pieces. */
static void *slow_writer(void *fd)
{
        for (int i = 0; i < 5; i++) {
                if (write(*(int *) fd, "ab", 2) != 2)
                        break;
                usleep(2000);
        }
        fd_close(*(int *) fd);
        return NULL;
}

static void test_read_pipe(void)
{
        _cleanup_free_ char *data = NULL;
        pthread_t thread;
        int fds[2];

        CHECK_INT(pipe(fds), 0);
        pthread_create(&thread, NULL, slow_writer, fds + 1);
        CHECK_INT(fd_read_all(fds[0], 10, &data, NULL), 0);
        CHECK_TEXT(data, "ababababab");
        pthread_join(thread, NULL);
        fd_close(fds[0]);
}

static void test_write_atomic(int dir_fd)
{
        _cleanup_free_ char *data = NULL;
        struct stat st;

        CHECK_INT(mkdirat(dir_fd, "w", 0755), 0);
        CHECK_INT(file_write_atomic_at(dir_fd, "w/f", 0640, "one", 3), 0);
        CHECK_INT(file_write_atomic_at(dir_fd, "w/f", 0604, "two", 3), 0);
        CHECK_INT(file_read_at(dir_fd, "w/f", 10, &data, NULL), 0);
        CHECK_TEXT(data, "two");
        CHECK_INT(fstatat(dir_fd, "w/f", &st, 0), 0);
        CHECK_INT(st.st_mode & 07777, 0604);
        CHECK_INT(test_count(dir_fd, "w"), 1);

        /* A link is replaced, not followed. */
        test_put(dir_fd, "w/other", "untouched");
        CHECK_INT(symlinkat("other", dir_fd, "w/link"), 0);
        CHECK_INT(file_write_atomic_at(dir_fd, "w/link", 0644, "new", 3), 0);
        _cleanup_free_ char *other = NULL;
        CHECK_INT(file_read_at(dir_fd, "w/other", 100, &other, NULL), 0);
        CHECK_TEXT(other, "untouched");
        CHECK_INT(test_count(dir_fd, "w"), 3);

        /* A directory cannot be replaced; nothing is left behind by the try. */
        CHECK_INT(mkdirat(dir_fd, "w/d", 0755), 0);
        CHECK(file_write_atomic_at(dir_fd, "w/d", 0644, "new", 3) < 0);
        CHECK_INT(test_count(dir_fd, "w"), 4);
        CHECK_INT(file_write_atomic_at(dir_fd, "nowhere/f", 0644, "new", 3), -ENOENT);
}

static void test_make_dir(int dir_fd)
{
        struct stat st;
        int fd = dir_open_or_make_at(dir_fd, "a/b/c", 0750);

        CHECK(fd >= 0);
        fd_close(fd);
        CHECK_INT(fstatat(dir_fd, "a/b", &st, 0), 0);
        CHECK(S_ISDIR(st.st_mode));
        fd = dir_open_or_make_at(dir_fd, "a/b/c", 0750);
        CHECK(fd >= 0);
        fd_close(fd);
        CHECK_INT(dir_open_or_make_at(dir_fd, "ten/x", 0755), -ENOTDIR);
}

static void test_poke(int dir_fd)
{
        test_put(dir_fd, "poked", "old");
        CHECK_INT(file_poke_at(dir_fd, "poked", "new"), 0);
        CHECK_INT(file_poke_at(dir_fd, "not-there", "new"), -ENOENT);
        CHECK_INT(faccessat(dir_fd, "not-there", F_OK, 0), -1);
        CHECK_INT(file_poke_at(dir_fd, "link", "new"), -ELOOP);
}

static void test_close_and_reopen(int dir_fd)
{
        char path[FD_PATH_MAX], byte;

        errno = ENOTTY;
        CHECK_INT(fd_close(-EBADF), -EBADF);
        int fd = openat(dir_fd, "ten", O_PATH | O_CLOEXEC);
        CHECK_INT(access(fd_path(fd, path), F_OK), 0);
        int again = fd_reopen(fd, O_RDONLY);
        CHECK(again >= 0);
        CHECK_INT(read(again, &byte, 1), 1);
        CHECK_INT(fcntl(again, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        errno = ENOTTY;
        CHECK_INT(fd_close(again), -EBADF);
        CHECK_INT(fd_close(fd), -EBADF);
        CHECK_INT(errno, ENOTTY);
}

int main(void)
{
        _cleanup_close_ int dir_fd = test_dir_open();

        umask(0);
        test_read_limits(dir_fd);
        test_read_types(dir_fd);
        test_read_pipe();
        test_write_atomic(dir_fd);
        test_make_dir(dir_fd);
        test_poke(dir_fd);
        test_close_and_reopen(dir_fd);
        return test_end();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/stat.h>

#include "basic/fd.h"

int fd_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;
                close(fd);
                errno = saved;
        }
        return -EBADF;
}

static int compare_ints(const void *a, const void *b)
{
        return *(const int *) a - *(const int *) b;
}

int fd_close_others(const int *keep, size_t n)
{
        int sorted[8], from = 3;

        assert(n <= ELEMENTSOF(sorted));
        memcpy(sorted, keep, n * sizeof(int));
        qsort(sorted, n, sizeof(int), compare_ints);
        for (size_t i = 0; i < n; i++) {
                if (sorted[i] > from && close_range(from, sorted[i] - 1, 0) < 0)
                        return -errno;
                from = MAX(from, sorted[i] + 1);
        }
        return RET_NERRNO(close_range(from, ~0U, 0));
}

bool fd_is_stream(int fd)
{
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        return flags >= 0 && !(flags & O_PATH) && fstat(fd, &st) >= 0 && !S_ISDIR(st.st_mode);
}

char *fd_path(int fd, char *buf)
{
        snprintf(buf, FD_PATH_MAX, "/proc/self/fd/%i", fd);
        return buf;
}

char *fd_name(int fd)
{
        char link[FD_PATH_MAX], name[PATH_MAX];
        ssize_t n = readlink(fd_path(fd, link), name, sizeof(name));

        return n <= 0 || n == sizeof(name) || name[0] != '/' ? NULL : strndup(name, n);
}

int fd_reopen(int fd, int flags)
{
        char path[FD_PATH_MAX];

        /* A directory can be reopened without procfs. */
        if (flags & O_DIRECTORY)
                return RET_NERRNO(openat(fd, ".", flags | O_CLOEXEC));
        return RET_NERRNO(open(fd_path(fd, path), flags | O_CLOEXEC));
}

int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_size)
{
        _cleanup_free_ char *data = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                if (allocated - size < 2) {
                        allocated = MIN(MAX(allocated * 2, (size_t) 4096), max + 2);
                        char *p = realloc(data, allocated);
                        OOM_CHECK(p);
                        data = p;
                }

                ssize_t n = read(fd, data + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += n;
                if (size > max)
                        return -EFBIG;
        }

        data[size] = 0;
        *ret_data = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int fd_write_all(int fd, const void *data, size_t size)
{
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= n;
        }
        return 0;
}

int file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size)
{
        _cleanup_close_ int fd = openat(dir_fd, path,
                                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADFD;
        return fd_read_all(fd, max, ret_data, ret_size);
}

int file_write_atomic_at(int dir_fd, const char *path, mode_t mode, const void *data, size_t size)
{
        _cleanup_free_ char *temp = NULL;
        const char *slash = strrchr(path, '/');
        int dir_len = slash ? (int) (slash - path) + 1 : 0, r;

        /* Callers serialise the writers of one file, so the process ID makes the name unique enough. An
         * earlier process with this ID can have left a temporary file of the same name. */
        if (asprintf(&temp, "%.*s.#%s.%i", dir_len, path, path + dir_len, getpid()) < 0)
                return -ENOMEM;
        (void) unlinkat(dir_fd, temp, 0);

        _cleanup_close_ int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                        mode);
        if (fd < 0)
                return -errno;

        r = RET_NERRNO(fchmod(fd, mode));
        if (r >= 0)
                r = fd_write_all(fd, data, size);
        if (r >= 0)
                r = RET_NERRNO(fsync(fd));
        if (r >= 0)
                r = RET_NERRNO(renameat(dir_fd, temp, dir_fd, path));
        if (r < 0)
                (void) unlinkat(dir_fd, temp, 0);
        return r;
}

int file_poke_at(int dir_fd, const char *path, const char *value)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int dir_open_at(int dir_fd, const char *path)
{
        return RET_NERRNO(openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

int dir_open_or_make_at(int dir_fd, const char *path, mode_t mode)
{
        _cleanup_free_ char *copy = strdup(path);
        OOM_CHECK(copy);

        for (char *p = copy + 1; *p; p++)
                if (*p == '/') {
                        *p = 0;
                        if (mkdirat(dir_fd, copy, mode) < 0 && errno != EEXIST)
                                return -errno;
                        *p = '/';
                }
        if (mkdirat(dir_fd, copy, mode) < 0 && errno != EEXIST)
                return -errno;
        return RET_NERRNO(openat(dir_fd, copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

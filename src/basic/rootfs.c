/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "basic/rootfs.h"
#include "basic/str.h"
#include "basic/syscalls.h"

/* RESOLVE_IN_ROOT fails with EAGAIN if a file is renamed or mounted meanwhile. A container could cause that
 * forever, so the number of tries is limited. */
#define RESOLVE_TRIES 64
/* Greatest length of a chain of dangling links. */
#define LINKS_MAX 8U

int rootfs_open(int root_fd, const char *path, int flags)
{
        const struct open_how how = {
                .flags = flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };

        assert(!(flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))));

        for (unsigned i = 0;; i++) {
                int fd = sys_openat2(root_fd, isempty(path) ? "/" : path, &how);
                if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || i >= RESOLVE_TRIES)
                        return fd < 0 ? -errno : fd;
        }
}

bool rootfs_exists(int root_fd, const char *path)
{
        int fd = rootfs_open(root_fd, path, O_PATH | O_NOFOLLOW);

        fd_close(fd);
        return fd >= 0;
}

bool rootfs_is_link(int root_fd, const char *path)
{
        _cleanup_close_ int fd = rootfs_open(root_fd, path, O_PATH | O_NOFOLLOW);
        struct stat st;

        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISLNK(st.st_mode);
}

int rootfs_read_file(int root_fd, const char *path, size_t max, char **ret_data, size_t *ret_size)
{
        /* O_PATH first, to check the type: opening a device can have effects. */
        _cleanup_close_ int path_fd = rootfs_open(root_fd, path, O_PATH);
        struct stat st;

        if (path_fd < 0)
                return path_fd;
        if (fstat(path_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADFD;

        _cleanup_close_ int fd = fd_reopen(path_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return fd;
        return fd_read_all(fd, max, ret_data, ret_size);
}

/* Opens the parent directory of a path, and makes it if it is missing. Returns the last component of the
 * path in ret_name. */
static int open_parent(int root_fd, const char *path, const char **ret_name)
{
        _cleanup_free_ char *parent = strdup(path);
        OOM_CHECK(parent);

        char *slash = strrchr(parent, '/');
        const char *name = slash ? path + (slash - parent) + 1 : path;
        if (isempty(name) || streq(name, ".") || streq(name, ".."))
                return -EINVAL;

        int fd;
        if (!slash || slash == parent)
                fd = rootfs_open(root_fd, "/", O_PATH | O_DIRECTORY);
        else {
                *slash = 0;
                fd = rootfs_make_dir(root_fd, parent, 0755);
        }
        if (fd >= 0)
                *ret_name = name;
        return fd;
}

int rootfs_make_dir(int root_fd, const char *path, mode_t mode)
{
        int fd = rootfs_open(root_fd, path, O_PATH | O_DIRECTORY);
        if (fd != -ENOENT)
                return fd;

        const char *name;
        _cleanup_close_ int parent_fd = open_parent(root_fd, path, &name);
        if (parent_fd < 0)
                return parent_fd;
        if (mkdirat(parent_fd, name, mode) < 0 && errno != EEXIST)
                return -errno;

        /* A container may have put a link here meanwhile; only a directory is accepted. */
        return RET_NERRNO(openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/* Reads a dangling link, and returns its target as a path below the root. -EEXIST if `name` is no link. */
static int read_dangling(int parent_fd, const char *path, const char *name, char **ret)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(parent_fd, name, target, sizeof(target) - 1);

        if (n < 0)
                return errno == EINVAL ? -EEXIST : -errno;
        target[n] = 0;
        *ret = target[0] == '/' ? strdup(target)
                                : strf("%.*s/%s", (int) (strlen(path) - strlen(name)), path, target);
        return *ret ? 0 : -ENOMEM;
}

static int make_file(int root_fd, const char *path, mode_t mode, unsigned links)
{
        _cleanup_free_ char *target = NULL;
        int r, fd = rootfs_open(root_fd, path, O_PATH);

        if (fd != -ENOENT)
                return fd;

        const char *name;
        _cleanup_close_ int parent_fd = open_parent(root_fd, path, &name);
        if (parent_fd < 0)
                return parent_fd;

        _cleanup_close_ int file_fd = openat(parent_fd, name,
                                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (file_fd >= 0)
                return RET_NERRNO(openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (errno != EEXIST)
                return -errno;
        if (links == 0)
                return -ELOOP;
        r = read_dangling(parent_fd, path, name, &target);
        return r < 0 ? r : make_file(root_fd, target, mode, links - 1);
}

int rootfs_make_file(int root_fd, const char *path, mode_t mode)
{
        return make_file(root_fd, path, mode, LINKS_MAX);
}

int rootfs_poke(int root_fd, const char *path, const char *text)
{
        _cleanup_close_ int fd = rootfs_open(root_fd, path, O_WRONLY | O_NONBLOCK);

        if (fd < 0)
                return fd;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int rootfs_remove(int root_fd, const char *path)
{
        const char *name;

        _cleanup_close_ int parent_fd = open_parent(root_fd, path, &name);
        if (parent_fd < 0)
                return parent_fd;
        return unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int rootfs_write_file(int root_fd, const char *path, mode_t mode, const void *data, size_t size)
{
        const char *name;
        _cleanup_close_ int parent_fd = open_parent(root_fd, path, &name);
        if (parent_fd < 0)
                return parent_fd;

        _cleanup_close_ int fd = openat(parent_fd, name,
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, mode) < 0)
                return -errno;
        return fd_write_all(fd, data, size);
}

int rootfs_make_link(int root_fd, const char *target, const char *path)
{
        const char *name;
        _cleanup_close_ int parent_fd = open_parent(root_fd, path, &name);
        if (parent_fd < 0)
                return parent_fd;
        return RET_NERRNO(symlinkat(target, parent_fd, name));
}

int rootfs_resolve(int root_fd, const char *path, char **ret)
{
        char link[FD_PATH_MAX], root[PATH_MAX], full[PATH_MAX];
        ssize_t n, m;

        _cleanup_close_ int fd = rootfs_open(root_fd, path, O_PATH);
        if (fd < 0)
                return fd;

        n = readlink(fd_path(root_fd, link), root, sizeof(root) - 1);
        if (n < 0)
                return -errno;
        m = readlink(fd_path(fd, link), full, sizeof(full) - 1);
        if (m < 0)
                return -errno;
        root[n == 1 ? 0 : n] = 0; /* the root of the host becomes an empty prefix */
        full[m] = 0;

        const char *below = startswith(full, root);
        if (!below || (*below != '/' && *below != 0))
                return -EXDEV;

        *ret = strdup(*below ? below : "/");
        return *ret ? 0 : -ENOMEM;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/rootfs.h"

/* An ID that is there, and is one, is emptied: systemd takes an empty file for a system that was booted before, and has none yet. */
static int empty_id(int root_fd)
{
        struct stat st;

        _cleanup_close_ int path_fd = rootfs_open(root_fd, "/etc/machine-id", O_PATH | O_NOFOLLOW);
        if (path_fd < 0)
                return path_fd == -ENOENT || path_fd == -ENOTDIR ? 0 : path_fd;
        if (fstat(path_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
                return 0;
        /* A second name of the file would lose what is in it, too. */
        _cleanup_close_ int fd = fd_reopen(path_fd, O_WRONLY | O_TRUNC | O_NONBLOCK);
        return fd < 0 ? fd : 0;
}

/* Links lead to what is not theirs. */
static int remove_file(int root_fd, const char *dir, const char *name)
{
        struct stat st;

        _cleanup_close_ int dir_fd = rootfs_open(root_fd, dir, O_PATH | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd == -ENOENT || dir_fd == -ENOTDIR ? 0 : dir_fd;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) ? RET_NERRNO(unlinkat(dir_fd, name, 0)) : 0;
}

int identity_forget(int root_fd)
{
        static const struct {
                const char *dir, *name;
        } files[] = {
                { "/var/lib/systemd", "random-seed" },
                { "/var/lib/systemd", "credential.secret" },
                { "/var/lib/dbus", "machine-id" }, /* a link to the other one, where it is not a second */
        };
        int r = empty_id(root_fd);

        for (size_t i = 0; i < ELEMENTSOF(files) && r >= 0; i++)
                r = remove_file(root_fd, files[i].dir, files[i].name);
        return r;
}

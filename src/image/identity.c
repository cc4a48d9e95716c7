/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/rootfs.h"
#include "basic/str.h"
#include "basic/tree.h"

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

/* Nobody else knows what is no plain file. */
static int carry_file(int from_fd, int to_fd, const char *name)
{
        TreeCopy copy = {
                .from = { 0, UINT32_MAX }, .to = { 0, UINT32_MAX }, .replace = true, .distrust = true
        };
        struct stat st;

        _cleanup_close_ int fd = openat(from_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        return S_ISREG(st.st_mode) ? tree_copy(&copy, fd, to_fd, name) : 0;
}

static int open_directory(int root_fd, const char *path)
{
        int fd = rootfs_open(root_fd, path, O_RDONLY | O_DIRECTORY);

        return fd == -ENOTDIR ? -ENOENT : fd;
}

int identity_carry(int from_fd, int to_fd)
{
        static const char *const dirs[] = { "/etc", "/etc/ssh" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(dirs) && r >= 0; i++) {
                _cleanup_(closedir_cleanup) DIR *dir = NULL;
                _cleanup_close_ int new_fd = open_directory(to_fd, dirs[i]);
                int old_fd = open_directory(from_fd, dirs[i]);
                if (old_fd == -ENOENT || new_fd == -ENOENT) {
                        fd_close(old_fd);
                        continue;
                }
                dir = old_fd < 0 || new_fd < 0 ? NULL : fdopendir(old_fd);
                if (!dir) {
                        fd_close(old_fd);
                        return old_fd < 0 ? old_fd : new_fd < 0 ? new_fd : -ENOMEM;
                }
                for (struct dirent *e; r >= 0 && (e = readdir(dir));)
                        if (i == 0 ? streq(e->d_name, "machine-id") || streq(e->d_name, "hostname")
                                   : startswith(e->d_name, "ssh_host_") != NULL)
                                r = carry_file(old_fd, new_fd, e->d_name);
                /* Names are on disk with the next change of the store, and what is in files need not be. */
                if (r >= 0)
                        r = RET_NERRNO(syncfs(new_fd));
        }
        return r;
}

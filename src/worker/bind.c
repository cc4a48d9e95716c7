/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mounts into a machine that runs, and out of it. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/rootfs.h"
#include "sandbox/mounts.h"
#include "worker/worker.h"

#define STAGED "mount"

/* Our own mount namespace, and in it the tree on a tmpfs that is the working directory. */
static int stage(int tree_fd, bool directory)
{
        int r;

        _cleanup_close_ int tmpfs_fd = mounts_enter_stage(MS_PRIVATE);
        if (tmpfs_fd < 0)
                return tmpfs_fd;
        _cleanup_close_ int point_fd = directory ? rootfs_make_dir(tmpfs_fd, STAGED, 0755)
                                                 : rootfs_make_file(tmpfs_fd, STAGED, 0644);
        r = point_fd < 0 ? point_fd : mounts_attach(tree_fd, point_fd);
        return r < 0 ? r : RET_NERRNO(fchdir(tmpfs_fd));
}

/* Becomes the machine's root in its mount namespace. */
static int enter(const Request *request, int userns_fd, int mntns_fd)
{
        if (userns_fd >= 0 && setns(userns_fd, CLONE_NEWUSER) < 0)
                return -errno;
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || setns(mntns_fd, CLONE_NEWNS) < 0 ||
            fchdir(request->root_fd) < 0 || chroot(".") < 0)
                return -errno;
        return 0;
}

static int open_target(const Request *request, bool directory)
{
        if (!request_flag(request, "mkdir"))
                return rootfs_open(request->root_fd, request->destination, O_PATH);
        return directory ? rootfs_make_dir(request->root_fd, request->destination, 0755)
                         : rootfs_make_file(request->root_fd, request->destination, 0644);
}

/* The flags of a mount hold against the machine's root only where the kernel has locked them: it does that for all mounts in
 * a copy of a mount namespace that goes to a user namespace with less privileges. So we make such a copy, and take the
 * tree out of it. */
static int attach(const Request *request, int userns_fd, int mntns_fd, bool directory)
{
        int r;

        if (userns_fd >= 0 && setns(userns_fd, CLONE_NEWUSER) < 0)
                return -errno;
        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        _cleanup_close_ int locked_fd = mounts_clone_path(AT_FDCWD, STAGED);
        if (locked_fd < 0)
                return locked_fd;
        r = enter(request, -EBADF, mntns_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int target_fd = open_target(request, directory);
        return target_fd < 0 ? target_fd : mounts_attach(locked_fd, target_fd);
}

static int detach(const Request *request, int userns_fd, int mntns_fd)
{
        int r = enter(request, userns_fd, mntns_fd);

        return r < 0 ? r : RET_NERRNO(umount2(request->destination, MNT_DETACH | UMOUNT_NOFOLLOW));
}

/* Where the machine's users are the host's, there is no user namespace to enter: ret_userns_fd is negative. */
static int open_namespaces(const Request *request, int *ret_userns_fd, int *ret_mntns_fd, char **ret_error)
{
        struct stat own, host;

        _cleanup_close_ int userns_fd = openat(request->proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int mntns_fd = openat(request->proc_fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
        if (userns_fd < 0 || mntns_fd < 0 || fstat(userns_fd, &own) < 0 ||
            stat("/proc/self/ns/user", &host) < 0)
                return set_failure(ret_error, -errno, "Cannot open the namespaces of the machine: %s",
                                   strerror(errno));
        *ret_userns_fd = own.st_dev == host.st_dev && own.st_ino == host.st_ino ? -EBADF
                                                                                : TAKE_FD(userns_fd);
        *ret_mntns_fd = TAKE_FD(mntns_fd);
        return 0;
}

int work_bind(const Request *request, char **ret_error)
{
        bool read_only = request_flag(request, "readOnly");
        struct stat st;
        int r;

        _cleanup_close_ int userns_fd = -EBADF, mntns_fd = -EBADF;
        r = open_namespaces(request, &userns_fd, &mntns_fd, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int tree_fd = mounts_clone_path(AT_FDCWD, request->source);
        if (tree_fd < 0 || fstat(tree_fd, &st) < 0)
                return set_failure(ret_error, -errno, "Cannot bind '%s': %s", request->source,
                                   strerror(errno));
        r = userns_fd < 0 ? 0 : mounts_set_attr(tree_fd, 0, 0, userns_fd);
        if (r == -EINVAL)
                return set_failure(
                        ret_error, r,
                        "Cannot bind '%s': its file system (%s), or one below it, does not support id-mapped mounts.",
                        request->source, mounts_fs_name(tree_fd));
        if (r >= 0)
                r = mounts_set_attr(tree_fd, read_only ? MOUNT_ATTR_RDONLY : 0, MS_PRIVATE, -EBADF);
        if (r >= 0)
                r = stage(tree_fd, S_ISDIR(st.st_mode));
        if (r >= 0)
                r = attach(request, userns_fd, mntns_fd, S_ISDIR(st.st_mode));
        return r < 0 ? set_failure(ret_error, r, "Cannot mount on '%s' in the machine: %s",
                                   request->destination, strerror(-r))
                     : 0;
}

int work_unbind(const Request *request, char **ret_error)
{
        int r;

        _cleanup_close_ int userns_fd = -EBADF, mntns_fd = -EBADF;
        r = open_namespaces(request, &userns_fd, &mntns_fd, ret_error);
        if (r < 0)
                return r;
        r = detach(request, userns_fd, mntns_fd);
        if (r == -EINVAL)
                return set_failure(ret_error, r,
                                   "Nothing that could be taken away is mounted on '%s' in the machine.",
                                   request->destination);
        return r < 0 ? set_failure(ret_error, r, "Cannot unmount '%s' in the machine: %s",
                                   request->destination, strerror(-r))
                     : 0;
}

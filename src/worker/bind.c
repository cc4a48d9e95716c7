/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bind mounts of host files in a running machine, and their removal. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "basic/rootfs.h"
#include "mount/tree.h"
#include "sandbox/mounts.h"
#include "worker/bind.h"

#define STAGED "mount"

/* Enters a mount namespace of the worker, and attaches the tree at STAGED on a tmpfs there. The tmpfs
 * becomes the working directory. */
static int stage(const Scope *scope, int tree_fd, bool directory)
{
        int r;

        _cleanup_close_ int tmpfs_fd = mounts_enter_stage(scope, MS_PRIVATE);
        if (tmpfs_fd < 0)
                return tmpfs_fd;
        _cleanup_close_ int point_fd = directory ? rootfs_make_dir(tmpfs_fd, STAGED, 0755)
                                                 : rootfs_make_file(tmpfs_fd, STAGED, 0644);
        r = point_fd < 0 ? point_fd : mount_attach(tree_fd, point_fd);
        return r < 0 ? r : RET_NERRNO(fchdir(tmpfs_fd));
}

/* Becomes root of the machine: in its user namespace (unless userns_fd is negative), its mount namespace and
 * its root directory. */
static int enter(const Job *job, int userns_fd, int mntns_fd)
{
        if (userns_fd >= 0 && setns(userns_fd, CLONE_NEWUSER) < 0)
                return -errno;
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || setns(mntns_fd, CLONE_NEWNS) < 0 ||
            fchdir(job->root_fd) < 0 || chroot(".") < 0)
                return -errno;
        return 0;
}

static int open_target(const Job *job, bool directory)
{
        const BindRequest *request = job->request;

        if (!request->mkdir)
                return rootfs_open(job->root_fd, request->destination, O_PATH);
        return directory ? rootfs_make_dir(job->root_fd, request->destination, 0755)
                         : rootfs_make_file(job->root_fd, request->destination, 0644);
}

/* Whether the target is already a mount of the same file or directory, writable or not like the new one. */
static bool is_bound(int tree_fd, int target_fd)
{
        struct statvfs tree_fs, target_fs;
        struct statx tree, target;

        return statx(tree_fd, "", AT_EMPTY_PATH, STATX_INO, &tree) >= 0 &&
               statx(target_fd, "", AT_EMPTY_PATH, STATX_INO, &target) >= 0 &&
               target.stx_attributes & STATX_ATTR_MOUNT_ROOT && tree.stx_ino == target.stx_ino &&
               tree.stx_dev_major == target.stx_dev_major && tree.stx_dev_minor == target.stx_dev_minor &&
               fstatvfs(tree_fd, &tree_fs) >= 0 && fstatvfs(target_fd, &target_fs) >= 0 &&
               (tree_fs.f_flag & ST_RDONLY) == (target_fs.f_flag & ST_RDONLY);
}

/* Root in the machine could clear the flags of a mount, such as read-only, unless the kernel has locked
 * them. The kernel locks the flags of all mounts when a mount namespace is copied into a user namespace with
 * less privileges. So attach() makes such a copy, and takes the tree out of the copy. */
static int attach(const Job *job, int userns_fd, int mntns_fd, bool directory)
{
        int r;

        if (userns_fd >= 0 && setns(userns_fd, CLONE_NEWUSER) < 0)
                return -errno;
        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        _cleanup_close_ int locked_fd = mount_clone(AT_FDCWD, STAGED);
        if (locked_fd < 0)
                return locked_fd;
        r = enter(job, -EBADF, mntns_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int target_fd = open_target(job, directory);
        if (target_fd < 0)
                return target_fd;
        return is_bound(locked_fd, target_fd) ? 0 : mount_attach(locked_fd, target_fd);
}

static int detach(const Job *job, int userns_fd, int mntns_fd)
{
        const BindRequest *request = job->request;
        int r = enter(job, userns_fd, mntns_fd);

        return r < 0 ? r : RET_NERRNO(umount2(request->destination, MNT_DETACH | UMOUNT_NOFOLLOW));
}

/* *ret_userns_fd is negative if the machine has the user namespace of the host. */
static int open_namespaces(const Job *job, int *ret_userns_fd, int *ret_mntns_fd, char **ret_error)
{
        struct stat own, host;

        _cleanup_close_ int userns_fd = openat(job->proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int mntns_fd = openat(job->proc_fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
        if (userns_fd < 0 || mntns_fd < 0 || fstat(userns_fd, &own) < 0 ||
            stat("/proc/self/ns/user", &host) < 0)
                return set_failure(ret_error, -errno, "Cannot open the namespaces of the machine: %s",
                                   strerror(errno));
        *ret_userns_fd = own.st_dev == host.st_dev && own.st_ino == host.st_ino ? -EBADF
                                                                                : TAKE_FD(userns_fd);
        *ret_mntns_fd = TAKE_FD(mntns_fd);
        return 0;
}

int work_bind(const Job *job, char **ret_error)
{
        const BindRequest *request = job->request;
        struct stat st;
        int r;

        _cleanup_close_ int userns_fd = -EBADF, mntns_fd = -EBADF;
        r = open_namespaces(job, &userns_fd, &mntns_fd, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int tree_fd = mount_clone(AT_FDCWD, request->source);
        if (tree_fd < 0 || fstat(tree_fd, &st) < 0)
                return set_failure(ret_error, -errno, "Cannot bind '%s': %s", request->source,
                                   strerror(errno));
        r = userns_fd < 0 ? 0 : mount_change(tree_fd, 0, 0, userns_fd);
        if (r == -EINVAL)
                return set_failure(
                        ret_error, r,
                        "Cannot bind '%s': its file system (%s), or one below it, does not support "
                        "id-mapped mounts.",
                        request->source, mount_fs_name(tree_fd));
        if (r >= 0)
                r = mount_change(tree_fd, request->read_only ? MOUNT_ATTR_RDONLY : 0, MS_PRIVATE, -EBADF);
        if (r >= 0)
                r = stage(job->scope, tree_fd, S_ISDIR(st.st_mode));
        if (r >= 0)
                r = attach(job, userns_fd, mntns_fd, S_ISDIR(st.st_mode));
        return r < 0 ? set_failure(ret_error, r, "Cannot mount on '%s' in the machine: %s",
                                   request->destination, strerror(-r))
                     : 0;
}

int work_unbind(const Job *job, char **ret_error)
{
        const BindRequest *request = job->request;
        int r;

        _cleanup_close_ int userns_fd = -EBADF, mntns_fd = -EBADF;
        r = open_namespaces(job, &userns_fd, &mntns_fd, ret_error);
        if (r < 0)
                return r;
        r = detach(job, userns_fd, mntns_fd);
        if (r == -EINVAL)
                return set_failure(ret_error, r,
                                   "Nothing that can be unmounted is mounted on '%s' in the machine.",
                                   request->destination);
        return r < 0 ? set_failure(ret_error, r, "Cannot unmount '%s' in the machine: %s",
                                   request->destination, strerror(-r))
                     : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/magic.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "basic/rootfs.h"
#include "sandbox/mounts.h"

#define GID_TTY 5

int mounts_clone_path(int dir_fd, const char *path)
{
        return RET_NERRNO(open_tree(dir_fd, path,
                                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
                                            (isempty(path) ? AT_EMPTY_PATH : 0)));
}

int mounts_set_attr(int tree_fd, unsigned set, unsigned propagation, int userns_fd)
{
        struct mount_attr attr = { .attr_set = set, .propagation = propagation };

        if (userns_fd >= 0) {
                attr.attr_set |= MOUNT_ATTR_IDMAP;
                attr.userns_fd = userns_fd;
        }
        return RET_NERRNO(mount_setattr(tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
}

int mounts_attach(int tree_fd, int target_fd)
{
        return RET_NERRNO(move_mount(tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

const char *mounts_fs_name(int fd)
{
        static const struct {
                long magic;
                const char *name;
        } names[] = {
                { OVERLAYFS_SUPER_MAGIC, "overlay" }, { NFS_SUPER_MAGIC, "nfs" }, { FUSE_SUPER_MAGIC, "fuse" },
                { EXT4_SUPER_MAGIC, "ext4" },         { BTRFS_SUPER_MAGIC, "btrfs" }, { XFS_SUPER_MAGIC, "xfs" },
                { TMPFS_MAGIC, "tmpfs" },             { PROC_SUPER_MAGIC, "proc" }, { SYSFS_MAGIC, "sysfs" },
                { SQUASHFS_MAGIC, "squashfs" },       { EROFS_SUPER_MAGIC_V1, "erofs" }, { V9FS_MAGIC, "9p" },
                { MSDOS_SUPER_MAGIC, "vfat" },
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) >= 0)
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        if (fs.f_type == names[i].magic)
                                return names[i].name;
        return "this file system";
}

typedef struct FsOption {
        const char *key;
        char value[24];
} FsOption;

/* A new file system of this type, mounted nowhere. An option with an empty value is a flag. */
static int make_fs(const char *type, const FsOption *options, size_t n, unsigned attr)
{
        _cleanup_close_ int fd = fsopen(type, FSOPEN_CLOEXEC);
        if (fd < 0)
                return -errno;

        for (size_t i = 0; i < n; i++) {
                bool flag = !options[i].value[0];
                if (fsconfig(fd, flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, options[i].key,
                             flag ? NULL : options[i].value, 0) < 0)
                        return -errno;
        }
        if (fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        return RET_NERRNO(fsmount(fd, FSMOUNT_CLOEXEC, attr));
}

static int make_tmpfs(const Step *step, uid_t base)
{
        FsOption options[4] = { { .key = "mode" }, { .key = "uid" }, { .key = "gid" }, { .key = "size" } };

        snprintf(options[0].value, sizeof(options[0].value), "%04o", step->mode);
        snprintf(options[1].value, sizeof(options[1].value), "%u", base);
        snprintf(options[2].value, sizeof(options[2].value), "%u", base);
        if (step->size)
                snprintf(options[3].value, sizeof(options[3].value), "%s", step->size);
        return make_fs("tmpfs", options, step->size ? 4 : 3, step->attr);
}

static int make_devpts(const Step *step, uid_t base)
{
        FsOption options[] = { { "newinstance", "" }, { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "" } };

        snprintf(options[3].value, sizeof(options[3].value), "%u", base + GID_TTY);
        return make_fs("devpts", options, ELEMENTSOF(options), step->attr);
}

static const struct {
        const char *name;
        unsigned major, minor;
} device_nodes[] = {
        { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
        const char *name, *target;
} device_links[] = {
        { "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
        { "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },         { "core", "/proc/kcore" },
};

/* The nodes are real ones: the file system belongs to the host, so they work in any user namespace. */
static int make_dev(const Step *step, uid_t base)
{
        _cleanup_close_ int mount_fd = make_tmpfs(step, base);
        if (mount_fd < 0)
                return mount_fd;
        _cleanup_close_ int dir_fd = fd_reopen(mount_fd, O_RDONLY | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd;

        for (size_t i = 0; i < ELEMENTSOF(device_nodes); i++) {
                const char *name = device_nodes[i].name;
                if (mknodat(dir_fd, name, S_IFCHR | 0666, makedev(device_nodes[i].major, device_nodes[i].minor)) < 0)
                        return -errno;
                if (fchmodat(dir_fd, name, 0666, 0) < 0 ||
                    fchownat(dir_fd, name, base, base, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        }
        for (size_t i = 0; i < ELEMENTSOF(device_links); i++) {
                if (symlinkat(device_links[i].target, dir_fd, device_links[i].name) < 0 ||
                    fchownat(dir_fd, device_links[i].name, base, base, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        }
        return TAKE_FD(mount_fd);
}

static int set_read_only(int mount_fd)
{
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

        return RET_NERRNO(mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
}

/* A mount has the flag itself; what is none gets one, being mounted over itself. */
static int make_read_only(int target_fd)
{
        struct statx stx;
        int r;

        if (statx(target_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
                return -errno;
        if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return set_read_only(target_fd);

        _cleanup_close_ int tree_fd = mounts_clone_path(target_fd, "");
        if (tree_fd < 0)
                return tree_fd;
        r = set_read_only(tree_fd);
        return r < 0 ? r : mounts_attach(tree_fd, target_fd);
}

static int bind_source(const Step *step)
{
        _cleanup_close_ int tree_fd = mounts_clone_path(AT_FDCWD, step->source);
        if (tree_fd < 0)
                return tree_fd;
        int r = mounts_set_attr(tree_fd, step->attr, MS_SLAVE, -EBADF);
        return r < 0 ? r : TAKE_FD(tree_fd);
}

/* What covers a hidden file or directory is in /run/host, where the container cannot write. */
static int clone_cover(int root_fd, int target_fd)
{
        struct stat st;

        if (fstat(target_fd, &st) < 0)
                return -errno;
        _cleanup_close_ int cover_fd = rootfs_open(
                root_fd, S_ISDIR(st.st_mode) ? "/run/host/inaccessible/dir" : "/run/host/inaccessible/reg", O_PATH);
        return cover_fd < 0 ? cover_fd : mounts_clone_path(cover_fd, "");
}

/* What a step mounts, not attached yet. */
static int step_make_tree(const Step *step, int root_fd, uid_t base, int target_fd)
{
        switch (step->kind) {
        case STEP_TMPFS:
                return make_tmpfs(step, base);
        case STEP_DEV:
                return make_dev(step, base);
        case STEP_DEVPTS:
                return make_devpts(step, base);
        case STEP_PROC:
                return make_fs("proc", NULL, 0, step->attr);
        case STEP_SYSFS:
                return make_fs("sysfs", NULL, 0, step->attr);
        case STEP_CGROUP:
                return make_fs("cgroup2", NULL, 0, step->attr);
        case STEP_MQUEUE:
                return make_fs("mqueue", NULL, 0, step->attr);
        case STEP_BIND:
                return bind_source(step);
        case STEP_HIDE:
                return clone_cover(root_fd, target_fd);
        default:
                assert(!"no such step");
                return -EOPNOTSUPP;
        }
}

static bool source_is_directory(const Step *step)
{
        struct stat st;
        return stat(step->source, &st) >= 0 && S_ISDIR(st.st_mode);
}

/* Only the last component may be missing from the image's point of view: a directory that the step mounts on, or for
 * a bind, what fits its source. */
static int step_open_target(const Step *step, int root_fd)
{
        switch (step->kind) {
        case STEP_READ_ONLY:
        case STEP_HIDE:
                return rootfs_open(root_fd, step->target, O_PATH);
        case STEP_BIND:
                if (!source_is_directory(step))
                        return rootfs_make_file(root_fd, step->target, 0644);
                return rootfs_make_dir(root_fd, step->target, 0755);
        default:
                return rootfs_make_dir(root_fd, step->target, 0755);
        }
}

/* Files in the tree are made with the ids of the container's root: so they come to belong to it on any file system,
 * id-mapped or not, and nothing is made that it could not make itself. */
static void act_as(uid_t id)
{
        (void) setfsgid(id);
        (void) setfsuid(id);
}

static int carry_out(const Step *step, int root_fd, uid_t base)
{
        _cleanup_close_ int target_fd = -EBADF, tree_fd = -EBADF;
        int r = 0;

        act_as(base);
        if (step->kind == STEP_FILE)
                r = rootfs_write_file(root_fd, step->target, step->mode, step->source);
        else if (step->kind == STEP_DIR)
                r = target_fd = rootfs_make_dir(root_fd, step->target, step->mode);
        else
                r = target_fd = step_open_target(step, root_fd);
        act_as(0);
        if (r < 0 || step->kind == STEP_FILE || step->kind == STEP_DIR)
                return r;

        if (step->kind == STEP_READ_ONLY)
                return make_read_only(target_fd);
        tree_fd = step_make_tree(step, root_fd, base, target_fd);
        if (tree_fd < 0)
                return tree_fd;
        return mounts_attach(tree_fd, target_fd);
}

/* STEP_WRITABLE comes behind the step that it is an exception to, but its tree must be taken before that. */
static int take_exception(const Step *steps, size_t n, size_t i, int root_fd)
{
        if (i + 1 >= n || steps[i + 1].kind != STEP_WRITABLE)
                return -EBADF;

        _cleanup_close_ int target_fd = rootfs_open(root_fd, steps[i + 1].target, O_PATH);
        return target_fd < 0 ? target_fd : mounts_clone_path(target_fd, "");
}

static int put_exception(const Step *step, int tree_fd, int root_fd)
{
        _cleanup_close_ int target_fd = rootfs_open(root_fd, step->target, O_PATH);
        return target_fd < 0 ? target_fd : mounts_attach(tree_fd, target_fd);
}

int mounts_carry_out(const Step *steps, size_t n, int root_fd, uid_t base, const Step **ret_step)
{
        _cleanup_close_ int exception_fd = -EBADF;
        int r;

        for (size_t i = 0; i < n; i++) {
                if (steps[i].kind == STEP_WRITABLE) {
                        r = exception_fd == -ENOENT ? 0 : put_exception(steps + i, exception_fd, root_fd);
                        exception_fd = fd_close(exception_fd);
                } else {
                        exception_fd = take_exception(steps, n, i, root_fd);
                        r = carry_out(steps + i, root_fd, base);
                        if (r == -ENOENT && steps[i].optional)
                                r = 0;
                }
                if (r < 0) {
                        *ret_step = steps + i;
                        return r;
                }
        }
        return 0;
}

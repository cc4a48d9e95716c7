/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "basic/log.h"
#include "mount/fs-context.h"

int mount_clone(int dir_fd, const char *path)
{
        return RET_NERRNO(open_tree(dir_fd, path,
                                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
                                            (isempty(path) ? AT_EMPTY_PATH : 0)));
}

int mount_change(int tree_fd, unsigned set, unsigned propagation, int userns_fd)
{
        struct mount_attr attr = {
                .attr_set = set,
                .attr_clr = set & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0,
                .propagation = propagation,
        };

        if (userns_fd >= 0) {
                attr.attr_set |= MOUNT_ATTR_IDMAP;
                attr.userns_fd = userns_fd;
        }
        return RET_NERRNO(mount_setattr(tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
}

int mount_attach(int tree_fd, int target_fd)
{
        return RET_NERRNO(
                move_mount(tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

const char *mount_fs_name(int fd)
{
        static const struct {
                long magic;
                const char *name;
        } names[] = {
                { OVERLAYFS_SUPER_MAGIC, "overlay" },
                { NFS_SUPER_MAGIC, "nfs" },
                { FUSE_SUPER_MAGIC, "fuse" },
                { EXT4_SUPER_MAGIC, "ext4" },
                { BTRFS_SUPER_MAGIC, "btrfs" },
                { XFS_SUPER_MAGIC, "xfs" },
                { TMPFS_MAGIC, "tmpfs" },
                { PROC_SUPER_MAGIC, "proc" },
                { SYSFS_MAGIC, "sysfs" },
                { SQUASHFS_MAGIC, "squashfs" },
                { EROFS_SUPER_MAGIC_V1, "erofs" },
                { V9FS_MAGIC, "9p" },
                { MSDOS_SUPER_MAGIC, "vfat" },
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) >= 0)
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        if (fs.f_type == names[i].magic)
                                return names[i].name;
        return "this file system";
}

int mount_make_fs(const char *type, const char *options, unsigned attr)
{
        _cleanup_fs_context_ FsContext fs = fs_context_open(type);

        fs_context_set_all(&fs, options ?: "");
        if (fs_context_create(&fs) < 0) {
                _cleanup_free_ char *why = fs_context_error(&fs);
                log_debug("Failed to make a file system of type %s with options '%s': %s", type,
                          options ?: "", strna(why));
                return fs.r;
        }
        return fs_context_mount(&fs, attr);
}

int mount_make_tmpfs(mode_t mode, uid_t owner, const char *options, unsigned attr)
{
        _cleanup_free_ char *all = strf("mode=%04o,uid=%u,gid=%u%s%s", mode, owner, owner,
                                        isempty(options) ? "" : ",", options ?: "");
        OOM_CHECK(all);
        return mount_make_fs("tmpfs", all, attr);
}

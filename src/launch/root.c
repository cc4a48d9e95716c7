/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "basic/rootfs.h"
#include "launch/root.h"
#include "sandbox/mounts.h"

/* The image with its owners mapped, attached nowhere yet. */
static int open_image(const Plan *plan, int image_fd, int userns_fd)
{
        int r;

        _cleanup_close_ int tree_fd = mounts_clone_path(image_fd, "");
        if (tree_fd < 0)
                return log_error_errno(tree_fd, "Failed to open the tree '%s'", plan->root);
        /* Devices come from us, not with an image. */
        r = mounts_set_attr(tree_fd, MOUNT_ATTR_NODEV, 0, -EBADF);
        if (r < 0)
                return log_error_errno(r, "Failed to set flags of the tree '%s'", plan->root);
        if (userns_fd >= 0) {
                r = mounts_set_attr(tree_fd, 0, 0, userns_fd);
                if (r == -EINVAL)
                        return log_error_return(
                                r,
                                "Failed to map the owners of '%s': %s does not support id-mapped "
                                "mounts here. Put the image on ext4, xfs or btrfs, or use "
                                "PrivateUsers=identity or =no.",
                                plan->root, mounts_fs_name(tree_fd));
                if (r < 0)
                        return log_error_errno(r, "Failed to map the owners of '%s'", plan->root);
        }
        return TAKE_FD(tree_fd);
}

/* Changes go over the image, to memory or to a directory on disk. */
static int make_overlay(int image_tree_fd, int changes_fd, uid_t base)
{
        _cleanup_free_ char *lower_path = NULL, *changes = NULL, *upper = NULL, *work = NULL;
        _cleanup_strv_ Strv lower = NULL;
        int r;

        r = mounts_stage(image_tree_fd, &lower_path);
        if (r >= 0)
                r = strv_append(&lower, lower_path);
        if (r < 0)
                return r;
        _cleanup_close_ int upper_fd = changes_fd >= 0 ? mounts_clone_path(changes_fd, "")
                                                       : mounts_make_tmpfs(0700, 0, NULL, 0);
        if (upper_fd < 0)
                return upper_fd;
        if (changes_fd < 0 && (mkdirat(upper_fd, "upper", 0755) < 0 || mkdirat(upper_fd, "work", 0700) < 0 ||
                               fchownat(upper_fd, "upper", base, base, AT_SYMLINK_NOFOLLOW) < 0))
                return -errno;
        r = mounts_stage(upper_fd, &changes);
        if (r < 0)
                return r;
        upper = strf("%s/upper", changes);
        work = strf("%s/work", changes);
        if (!upper || !work)
                return -ENOMEM;
        return mounts_make_overlay(lower, upper, work, 0);
}

/* The links of a merged /usr that a root consists of, as the image has them. */
static int copy_usr_links(int image_fd, int root_fd)
{
        static const char *const names[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char target[PATH_MAX];
                ssize_t n = readlinkat(image_fd, names[i], target, sizeof(target) - 1);
                if (n < 0)
                        continue;
                target[n] = 0;
                int r = rootfs_make_link(root_fd, target, names[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* An empty root in memory, with the image's /usr. */
static int make_empty(int image_tree_fd, int image_fd, uid_t base)
{
        static const char *const dirs[] = { "etc", "home", "opt", "root", "srv", "var" };
        _cleanup_free_ char *path = NULL;
        int r;

        r = mounts_stage(image_tree_fd, &path);
        if (r < 0)
                return r;
        _cleanup_close_ int usr_fd = rootfs_open(image_tree_fd, "/usr", O_PATH | O_DIRECTORY);
        if (usr_fd < 0)
                return usr_fd;
        _cleanup_close_ int usr_tree_fd = mounts_clone_path(usr_fd, "");
        if (usr_tree_fd < 0)
                return usr_tree_fd;
        r = mounts_set_attr(usr_tree_fd, MOUNT_ATTR_RDONLY, 0, -EBADF);
        if (r < 0)
                return r;

        /* The root of an empty file system is the one place where a mount is made below a mount: so it is staged
         * first. */
        _cleanup_close_ int root_fd = mounts_make_tmpfs(0755, base, NULL, 0);
        if (root_fd < 0)
                return root_fd;
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++)
                if (mkdirat(root_fd, dirs[i], 0755) < 0 ||
                    fchownat(root_fd, dirs[i], base, base, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        if (mkdirat(root_fd, "usr", 0755) < 0)
                return -errno;
        r = copy_usr_links(image_fd, root_fd);
        if (r < 0)
                return r;
        free(path);
        path = NULL;
        r = mounts_stage(root_fd, &path);
        if (r < 0)
                return r;
        _cleanup_close_ int target_fd = rootfs_open(root_fd, "/usr", O_PATH | O_DIRECTORY);
        r = target_fd < 0 ? target_fd : mounts_attach(usr_tree_fd, target_fd);
        return r < 0 ? r : TAKE_FD(root_fd);
}

int root_make(const Plan *plan, int image_fd, int userns_fd, int changes_fd, uid_t base, int *ret_root_fd)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int root_fd = -EBADF;
        int r;

        _cleanup_close_ int tree_fd = open_image(plan, image_fd, userns_fd);
        if (tree_fd < 0)
                return tree_fd;

        switch (plan->spec->volatile_mode) {
        case VOLATILE_YES:
                root_fd = make_empty(tree_fd, image_fd, base);
                break;
        case VOLATILE_OVERLAY:
        case VOLATILE_DISK:
                root_fd = make_overlay(tree_fd, changes_fd, base);
                break;
        default:
                root_fd = TAKE_FD(tree_fd);
        }
        if (root_fd < 0)
                return log_error_errno(root_fd, "Failed to make a volatile root over '%s'", plan->root);
        if (plan->spec->volatile_mode != VOLATILE_YES) {
                r = mounts_stage(root_fd, &path);
                if (r < 0)
                        return log_error_errno(r, "Failed to attach the tree '%s'", plan->root);
        }
        *ret_root_fd = TAKE_FD(root_fd);
        return 0;
}

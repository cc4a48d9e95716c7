/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/failure.h"
#include "basic/rootfs.h"
#include "launch/root.h"
#include "mount/mountinfo.h"
#include "mount/tree.h"
#include "sandbox/mounts.h"

typedef struct Below {
        const char *path;
        char *point, *fs; /* of the first mount below the path */
} Below;

static int match_below(void *userdata, const KernelMount *entry)
{
        Below *b = userdata;
        const char *rest = startswith(entry->point, b->path);

        if (!rest || *rest != '/')
                return 0;
        b->point = strdup(entry->point);
        b->fs = strdup(entry->fs);
        return b->point && b->fs ? 1 : -ENOMEM;
}

/* The kernel does not tell which mount of the tree cannot be ID-mapped. A mount of the host in the image,
 * such as a forgotten /proc of a chroot, is the likely one. */
static int fail_unmappable(const Plan *plan, int tree_fd, int error, char **ret_error)
{
        Below below = { .path = plan->root };

        (void) mountinfo_each(match_below, &below);
        (void) (below.point && below.fs
                        ? set_failure(
                                  ret_error, error,
                                  "Failed to map the owners of '%s': a file system of type %s is mounted on "
                                  "'%s'. Unmount the file system, or use PrivateUsers=identity or =no.",
                                  plan->root, below.fs, below.point)
                        : set_failure(
                                  ret_error, error,
                                  "Failed to map the owners of '%s': %s does not support id-mapped mounts "
                                  "here. Put the image on ext4, xfs or btrfs, or use PrivateUsers=identity "
                                  "or =no.",
                                  plan->root, mount_fs_name(tree_fd)));
        free(below.point);
        free(below.fs);
        return error;
}

/* Makes a detached tree, ID-mapped if the machine has a user namespace. */
static int open_mapped(const Plan *plan, int dir_fd, int userns_fd, char **ret_error)
{
        int r;

        _cleanup_close_ int tree_fd = mount_clone(dir_fd, "");
        if (tree_fd < 0)
                return set_failure_errno(ret_error, tree_fd, "Failed to open the tree '%s'", plan->root);
        /* Device nodes of an image have no effect. */
        r = mount_change(tree_fd, MOUNT_ATTR_NODEV, 0, -EBADF);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to set flags of the tree '%s'", plan->root);
        if (userns_fd >= 0) {
                r = mount_change(tree_fd, 0, 0, userns_fd);
                if (r == -EINVAL)
                        return fail_unmappable(plan, tree_fd, r, ret_error);
                if (r < 0)
                        return set_failure_errno(ret_error, r, "Failed to map the owners of '%s'",
                                                 plan->root);
        }
        return TAKE_FD(tree_fd);
}

/* The paths where the parts of the image are mounted, the topmost first: a single tree, or the layers of a
 * stack. */
static int stage_image(const Plan *plan, const Tree *tree, int userns_fd, Strv *ret, char **ret_error)
{
        size_t n = tree->layers ? tree->n_layers : 1;
        int r;

        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int part_fd = open_mapped(plan, tree->layers ? tree->layers[i] : tree->fd,
                                                          userns_fd, ret_error);
                if (part_fd < 0)
                        return part_fd;
                r = mounts_stage(plan->scope, part_fd, &path);
                if (r >= 0)
                        r = strv_append(ret, path);
                if (r < 0)
                        return set_failure_errno(ret_error, r, "Failed to attach the tree '%s'", plan->root);
        }
        return 0;
}

/* Lists the trees of the image as layers of an overlay, without the first `skip`. */
static int list_lowers(const Tree *tree, const Strv parts, size_t skip, Strv *ret)
{
        int r = 0;

        for (size_t i = skip; parts[i] && r >= 0; i++)
                r = strv_appendf(ret, "%s%s", parts[i], i < tree->n_uppers ? "/upper" : "");
        return r;
}

/* Changes of a stack are written to its first layer. All layers have the same owners on disk: owners are
 * mapped when the overlay is mounted. */
static int make_stack(const Tree *tree, const Strv parts, bool writable, uid_t owner)
{
        _cleanup_free_ char *upper = NULL, *work = NULL;
        _cleanup_strv_ Strv lowers = NULL;
        int r;

        r = list_lowers(tree, parts, writable, &lowers);
        /* An overlay needs two layers, so an empty directory is the lowest. */
        if (r >= 0 && strv_length(lowers) < (writable ? 1U : 2U))
                r = strv_appendf(&lowers, "%s/work", parts[0]);
        if (r < 0)
                return r;
        upper = writable ? strf("%s/upper", parts[0]) : NULL;
        work = writable ? strf("%s/work", parts[0]) : NULL;
        if (writable && (!upper || !work))
                return -ENOMEM;
        return mounts_make_overlay(lowers, upper, work, owner);
}

/* Changes go to an upper layer on top of the image, in memory or in a directory on disk. */
static int make_overlay(const Scope *scope, const Tree *tree, const Strv parts, int changes_fd, uid_t base)
{
        _cleanup_free_ char *changes = NULL, *upper = NULL, *work = NULL;
        _cleanup_strv_ Strv lower = NULL;
        int r;

        r = list_lowers(tree, parts, 0, &lower);
        if (r < 0)
                return r;
        _cleanup_close_ int upper_fd = changes_fd >= 0 ? mount_clone(changes_fd, "")
                                                       : mount_make_tmpfs(0700, 0, NULL, 0);
        if (upper_fd < 0)
                return upper_fd;
        if (changes_fd < 0 && (mkdirat(upper_fd, "upper", 0755) < 0 || mkdirat(upper_fd, "work", 0700) < 0 ||
                               fchownat(upper_fd, "upper", base, base, AT_SYMLINK_NOFOLLOW) < 0))
                return -errno;
        r = mounts_stage(scope, upper_fd, &changes);
        if (r < 0)
                return r;
        upper = strf("%s/upper", changes);
        work = strf("%s/work", changes);
        if (!upper || !work)
                return -ENOMEM;
        return mounts_make_overlay(lower, upper, work, 0);
}

static bool is_mount(int fd)
{
        struct statx sx;

        return statx(fd, "", AT_EMPTY_PATH, 0, &sx) >= 0 && (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* An overlay does not show mounts in its layers. The other partitions of a disk are therefore mounted again;
 * nobody can write to them. */
static int attach_partitions(const char *image, int root_fd)
{
        static const char *const paths[] = { "/usr", "/home", "/srv", "/var", "/var/tmp", "/boot", "/efi" };
        int r = 0;

        _cleanup_close_ int image_fd = open(image, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (image_fd < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(paths) && r >= 0; i++) {
                _cleanup_close_ int source_fd = rootfs_open(image_fd, paths[i], O_PATH | O_DIRECTORY);
                _cleanup_close_ int target_fd = rootfs_open(root_fd, paths[i], O_PATH | O_DIRECTORY);
                if (source_fd < 0 || target_fd < 0 || !is_mount(source_fd) || is_mount(target_fd))
                        continue;
                _cleanup_close_ int tree_fd = mount_clone(source_fd, "");
                r = tree_fd < 0 ? tree_fd : mount_change(tree_fd, MOUNT_ATTR_RDONLY, 0, -EBADF);
                if (r >= 0)
                        r = mount_attach(tree_fd, target_fd);
        }
        return r;
}

/* Copies the links of a merged /usr from the image to the root. */
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

/* Makes an empty root in memory, with /usr of the image. */
static int make_empty(const Scope *scope, const char *image, uid_t base)
{
        static const char *const dirs[] = { "etc", "home", "opt", "root", "srv", "var" };
        _cleanup_free_ char *path = NULL;
        int r;

        _cleanup_close_ int image_fd = open(image, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (image_fd < 0)
                return -errno;
        _cleanup_close_ int usr_fd = rootfs_open(image_fd, "/usr", O_PATH | O_DIRECTORY);
        if (usr_fd < 0)
                return usr_fd;
        _cleanup_close_ int usr_tree_fd = mount_clone(usr_fd, "");
        if (usr_tree_fd < 0)
                return usr_tree_fd;
        r = mount_change(usr_tree_fd, MOUNT_ATTR_RDONLY, 0, -EBADF);
        if (r < 0)
                return r;

        /* In an empty root, /usr is a mount below another mount, so the root is mounted on the stage first.
         */
        _cleanup_close_ int root_fd = mount_make_tmpfs(0755, base, NULL, 0);
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
        r = mounts_stage(scope, root_fd, &path);
        if (r < 0)
                return r;
        _cleanup_close_ int target_fd = rootfs_open(root_fd, "/usr", O_PATH | O_DIRECTORY);
        r = target_fd < 0 ? target_fd : mount_attach(usr_tree_fd, target_fd);
        return r < 0 ? r : TAKE_FD(root_fd);
}

/* Mounts a single tree at a path. The only tree of an image is mounted already. */
static int stage_single(const Scope *scope, const Tree *tree, const Strv parts, bool writable, uid_t owner,
                        char **ret_path)
{
        if (!tree->layers) {
                *ret_path = strdup(parts[0]);
                return *ret_path ? RET_NERRNO(open(*ret_path, O_PATH | O_DIRECTORY | O_CLOEXEC)) : -ENOMEM;
        }
        _cleanup_close_ int fd = make_stack(tree, parts, writable, owner);
        int r = fd < 0 ? fd : mounts_stage(scope, fd, ret_path);
        return r < 0 ? r : TAKE_FD(fd);
}

int root_make(const Plan *plan, const Tree *tree, int userns_fd, int changes_fd, uid_t base,
              int *ret_root_fd, char **ret_error)
{
        bool writable = plan->spec->volatile_mode == VOLATILE_NO && !plan->spec->read_only;
        _cleanup_free_ char *path = NULL, *single = NULL;
        _cleanup_close_ int root_fd = -EBADF;
        _cleanup_strv_ Strv parts = NULL;
        int r;

        r = stage_image(plan, tree, userns_fd, &parts, ret_error);
        if (r < 0)
                return r;
        switch (plan->spec->volatile_mode) {
        case VOLATILE_YES: {
                _cleanup_close_ int image_fd = stage_single(plan->scope, tree, parts, false, base, &single);
                root_fd = image_fd < 0 ? image_fd : make_empty(plan->scope, single, base);
                break;
        }
        case VOLATILE_OVERLAY:
        case VOLATILE_DISK:
                root_fd = make_overlay(plan->scope, tree, parts, changes_fd, base);
                if (root_fd >= 0) {
                        r = mounts_stage(plan->scope, root_fd, &path);
                        if (r >= 0 && tree->disk)
                                r = attach_partitions(parts[0], root_fd);
                        if (r < 0)
                                return set_failure_errno(ret_error, r, "Failed to attach the tree '%s'",
                                                         plan->root);
                }
                break;
        default:
                root_fd = stage_single(plan->scope, tree, parts, writable, base, &path);
        }
        if (root_fd < 0)
                return set_failure_errno(ret_error, root_fd, "Failed to make a root of '%s'", plan->root);
        *ret_root_fd = TAKE_FD(root_fd);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mounts of images on directories of the host. They have nosuid, which disables set-user-ID programs and
 * file capabilities, and nodev, which keeps device nodes from being opened. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/rootfs.h"
#include "disk/raw.h"
#include "mount/mountinfo.h"
#include "mount/tree.h"
#include "sandbox/mounts.h"
#include "state/claim.h"
#include "state/record.h"
#include "store/image-user.h"
#include "store/mounted.h"
#include "store/store.h"
#include "worker/idle.h"
#include "worker/mount.h"

#define STAGED "disk"

typedef struct Mounted {
        const Scope *scope;
        const char *name;
        int store_fd, fd; /* fd: the image, with O_PATH */
        ImageType type;
        bool read_only;
} Mounted;

/* The unit of a worker has PrivateNetwork=, and newer versions of systemd then make a mount namespace as
 * well. Images must be mounted in the namespace of the host. */
static int join_host(void)
{
        _cleanup_close_ int fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

        return fd < 0 || setns(fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* While a machine writes to a directory or a subvolume, a read-only mount is allowed, since both use the
 * same file system. For a disk or a stack, the kernel would have two file systems over the same data. */
static int check_users(const Mounted *s, int run_fd, char **ret_error)
{
        _cleanup_free_ char *user = NULL;
        _cleanup_strv_ Strv mounts = NULL;
        bool shared = s->type == IMAGE_DIRECTORY || s->type == IMAGE_SUBVOLUME;
        struct stat st;
        int r;

        if (shared && s->read_only)
                return 0;
        if (fstat(s->fd, &st) < 0)
                return -errno;
        r = s->read_only ? claim_find_writer(run_fd, &st, &user)
                         : image_find_user(run_fd, s->store_fd, s->name, &user);
        if (r > 0)
                return set_failure(ret_error, -EBUSY, "Machine '%s' %s image '%s'.", user,
                                   s->read_only ? "writes to" : "runs from", s->name);
        if (r >= 0 && !shared)
                r = image_find_mounts(s->store_fd, s->name, &mounts);
        if (r >= 0 && mounts)
                return set_failure(ret_error, -EBUSY, "Image '%s' is mounted on '%s' already.", s->name,
                                   mounts[0]);
        return r;
}

/* Mounts the partitions of a disk on top of each other in a mount namespace of the worker, and returns a
 * detached copy of this tree. */
static int open_disk(const Mounted *s, char **ret_error)
{
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        int r;

        _cleanup_close_ int host_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int disk_fd = fd_reopen(s->fd, (s->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK);
        if (host_fd < 0 || disk_fd < 0)
                return host_fd < 0 ? -errno : disk_fd;
        r = raw_dissect(disk_fd, s->store_fd, s->name, NULL, &disk, ret_error);
        if (r >= 0)
                r = raw_check_idle(disk_fd, s->read_only, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int tmpfs_fd = mounts_enter_stage(s->scope, MS_PRIVATE);
        _cleanup_close_ int target_fd = tmpfs_fd < 0 ? tmpfs_fd : rootfs_make_dir(tmpfs_fd, STAGED, 0700);
        _cleanup_close_ int root_fd = target_fd < 0 ? target_fd
                                                    : raw_attach(disk_fd, &disk, s->read_only, target_fd,
                                                                 ret_error);
        _cleanup_close_ int tree_fd = root_fd < 0 ? root_fd : mount_clone(tmpfs_fd, STAGED);
        r = MIN(tree_fd, 0);
        if (setns(host_fd, CLONE_NEWNS) < 0 && r >= 0)
                r = -errno;
        return r < 0 ? r : TAKE_FD(tree_fd);
}

static int open_tree_of(const Mounted *s, char **ret_error)
{
        _cleanup_stack_ Stack stack = {};
        _cleanup_close_ int fd = s->type == IMAGE_RAW ? -EBADF : fd_reopen(s->fd, O_RDONLY | O_DIRECTORY);
        int r;

        if (s->type == IMAGE_RAW)
                return open_disk(s, ret_error);
        if (fd < 0 || s->type != IMAGE_STACK)
                return fd < 0 ? fd : mount_clone(fd, "");
        r = stack_read(fd, &stack);
        return r < 0 ? r : layers_mount(s->store_fd, &stack.layers, !s->read_only);
}

static int attach(const Mounted *s, const char *path, char **ret_error)
{
        struct statx sx;
        int r;

        _cleanup_close_ int target_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return set_failure(ret_error, -errno, "Cannot mount on '%s': %s", path, strerror(errno));
        /* A second mount would cover the first, which then could not be found by its path. */
        if (statx(target_fd, "", AT_EMPTY_PATH, 0, &sx) < 0)
                return -errno;
        if (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return set_failure(ret_error, -EBUSY, "'%s' is a mount point already.", path);
        _cleanup_close_ int tree_fd = open_tree_of(s, ret_error);
        if (tree_fd < 0)
                return tree_fd;
        r = mount_change(tree_fd,
                         MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (s->read_only ? MOUNT_ATTR_RDONLY : 0),
                         MS_PRIVATE, -EBADF);
        return r < 0 ? r : mount_attach(tree_fd, target_fd);
}

static bool writes(const Mounted *s, int store_fd, const struct stat *st)
{
        _cleanup_close_ int fd = fd_reopen(s->fd, s->type == IMAGE_RAW ? O_RDONLY | O_NONBLOCK
                                                                       : O_RDONLY | O_DIRECTORY);

        return fd >= 0 && !image_is_read_only(fd) &&
               (s->type != IMAGE_DIRECTORY || stack_find_user(store_fd, st->st_ino, NULL) == 0);
}

int work_mount(const Job *job, char **ret_error)
{
        const MountRequest *request = job->request;
        Mounted s = { .scope = job->scope, .name = request->name, .read_only = request->read_only };
        struct stat st;
        int r = join_host();

        if (r < 0)
                return r;
        /* Until the image is mounted, this lock keeps machines from starting and images from becoming
         * stacks. */
        _cleanup_close_ int run_fd = run_dir_open(job->scope);
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd
                                                 : image_lock_starts(job->scope, run_fd, request->name);
        if (lock_fd < 0)
                return lock_fd;
        _cleanup_close_ int store_fd = open(job->scope->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno
                                              : image_open_in(store_fd, s.name, O_NOFOLLOW, &s.type, NULL);
        if (fd == -ENOENT)
                return set_failure(ret_error, -ENOMEDIUM, "There is no image '%s'.", s.name);
        if (fd < 0 || fstat(fd, &st) < 0)
                return fd < 0 ? fd : -errno;
        s.store_fd = store_fd;
        s.fd = fd;
        if (!s.read_only && !writes(&s, store_fd, &st))
                return set_failure(ret_error, -EROFS, "Image '%s' is read-only: mount it with --read-only.",
                                   s.name);
        r = check_users(&s, run_fd, ret_error);
        return r < 0 ? r : attach(&s, request->path, ret_error);
}

/* --- and away ------------------------------------------------------------------------------------------ */

typedef struct Below {
        const char *path;
        Strv points; /* mount points: `path` itself, and all below it */
} Below;

static int find_below(void *userdata, const KernelMount *entry)
{
        Below *below = userdata;
        const char *rest = startswith(entry->point, below->path);

        return rest && (*rest == 0 || *rest == '/') ? strv_append(&below->points, entry->point) : 0;
}

/* Unmounts `path` and all mounts below it, the latest first. Stops at the first mount that is busy. */
static int unmount(const char *path, char **ret_error)
{
        Below below = { .path = path };
        int r = mountinfo_each(find_below, &below);

        for (size_t i = strv_length(below.points); r >= 0 && i-- > 0;)
                if (umount2(below.points[i], UMOUNT_NOFOLLOW) < 0)
                        r = set_failure(ret_error, -errno, "Cannot unmount '%s': %s", below.points[i],
                                        strerror(errno));
        strv_free(below.points);
        return r;
}

/* `where` is the name of an image or an absolute path. Only mounts of images are unmounted. */
int work_unmount(const Job *job, char **ret_error)
{
        const UnmountRequest *request = job->request;
        const char *where = request->where;
        _cleanup_strv_ Strv names = NULL, mounts = NULL;
        int r = join_host();

        if (r < 0)
                return r;
        _cleanup_close_ int store_fd = open(job->scope->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store_fd < 0)
                return -errno;
        r = where[0] == '/' ? store_list(store_fd, true, &names) : strv_append(&names, where);
        STRV_FOREACH (name, names)
                if (r >= 0) {
                        _cleanup_strv_ Strv more = NULL;
                        r = image_find_mounts(store_fd, *name, &more);
                        if (r >= 0)
                                r = strv_extend(&mounts, more);
                        else if (where[0] == '/')
                                r = 0;
                }
        if (r == -ENOENT)
                return set_failure(ret_error, r, "There is no image '%s'.", where);
        if (r >= 0 && where[0] == '/' && !strv_contains(mounts, where))
                return set_failure(ret_error, -EINVAL, "No image is mounted on '%s'.", where);
        if (r >= 0 && !mounts)
                return set_failure(ret_error, -EINVAL, "Image '%s' is not mounted.", where);
        if (where[0] == '/')
                return r < 0 ? r : unmount(where, ret_error);
        STRV_FOREACH (path, mounts)
                if (r >= 0)
                        r = unmount(*path, ret_error);
        return r;
}

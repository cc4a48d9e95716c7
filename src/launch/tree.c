/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch/tree.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "basic/failure.h"
#include "basic/time.h"
#include "disk/raw.h"
#include "sandbox/mounts.h"
#include "state/claim.h"
#include "state/record.h"
#include "store/image.h"
#include "store/mounted.h"
#include "store/stack.h"
#include "store/subvolume.h"

/* The machine that ran from the disk before may still be about to end. */
#define DISK_WAIT_USEC (2 * USEC_PER_SEC)
#define DISK_STEP_USEC (10 * USEC_PER_MSEC)

/* Under the lock that other starts take as well, before they look for users of the disk. */
static int attach(const Scope *scope, int disk_fd, const RawDisk *disk, bool read_only, int run_fd,
                  char **ret_error)
{
        int r;

        _cleanup_close_ int lock_fd = run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return lock_fd;
        r = raw_check_idle(disk_fd, read_only, ret_error);
        if (r < 0)
                return r;
        _cleanup_free_ char *target = scope_run_path(scope, STAGE "/disk");
        OOM_CHECK(target);
        _cleanup_close_ int target_fd = dir_open_or_make_at(AT_FDCWD, target, 0755);
        return target_fd < 0 ? target_fd : raw_attach(disk_fd, disk, read_only, target_fd, ret_error);
}

static int open_disk(const Scope *scope, const Spec *spec, const char *path, int run_fd, char **ret_error)
{
        bool read_only = !claim_writes_image(spec);
        _cleanup_free_ char *error = NULL;
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        size_t length = strlen(path);
        _cleanup_free_ char *name = strndup(
                path, endswith(path, IMAGE_RAW_SUFFIX) ? length - strlen(IMAGE_RAW_SUFFIX) : length);
        int r;

        OOM_CHECK(name);
        _cleanup_close_ int disk_fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY |
                                                         O_CLOEXEC);
        if (disk_fd < 0)
                return set_failure_errno(ret_error, -errno, "Failed to open the image '%s'", path);
        r = raw_dissect(disk_fd, AT_FDCWD, name, spec->root_hash, &disk, &error);
        for (uint64_t waited = 0; r >= 0; waited += DISK_STEP_USEC) {
                free(error);
                error = NULL;
                r = attach(scope, disk_fd, &disk, read_only, run_fd, &error);
                if (r != -EBUSY || waited >= DISK_WAIT_USEC)
                        break;
                (void) usleep(DISK_STEP_USEC);
                r = 0;
        }
        return r < 0 && error ? set_failure(ret_error, r, "Image '%s': %s", spec->image, error)
               : r < 0        ? set_failure_errno(ret_error, r, "Failed to mount the image '%s'", path)
                              : r;
}

void tree_close(Tree *tree)
{
        fd_close(tree->fd);
        layers_close(tree->layers, tree->n_layers);
        *tree = TREE_NONE;
}

void tree_looked(Tree *tree)
{
        if (tree->layers)
                tree->fd = fd_close(tree->fd);
}

static int open_stack(const Spec *spec, int stack_fd, const char *path, Tree *ret, char **ret_error)
{
        _cleanup_free_ char *store = strndup(path, strrchr(path, '/') - path);
        _cleanup_stack_ Stack stack = {};
        Tree tree = TREE_NONE;
        int r;

        if (!store)
                return -ENOMEM;
        STRV_FOREACH (entry, spec->bind)
                if (memchr(*entry, '+', strspn(*entry, "+-")))
                        return set_failure(ret_error, -EOPNOTSUPP,
                                           "Image '%s' is a stack: '+' cannot bind a part of it.",
                                           spec->image);
        _cleanup_close_ int fd = fd_reopen(stack_fd, O_RDONLY | O_DIRECTORY);
        _cleanup_close_ int store_fd = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? fd : store_fd < 0 ? -errno : stack_read(fd, &stack);
        if (r == -EBADMSG || r == -ENOENT)
                return set_failure(ret_error, r, "Image '%s' has no manifest that can be understood.",
                                   spec->image);
        if (r >= 0)
                r = layers_open(store_fd, &stack.layers, &tree.layers, &tree.n_layers);
        if (r == -ESTALE)
                return set_failure(ret_error, r,
                                   "Image '%s' is made over image '%s', which is gone, or another one now.",
                                   spec->image, stack.layers.base);
        if (r >= 0 && claim_writes_image(spec)) {
                _cleanup_strv_ Strv mounts = NULL;
                r = layers_find_mounts(&stack.layers, &mounts);
                if (r >= 0 && mounts)
                        r = set_failure(ret_error, -EBUSY, "Image '%s' is mounted on '%s'.", spec->image,
                                        mounts[0]);
                if (r < 0) {
                        tree_close(&tree);
                        return r;
                }
        }
        if (r >= 0)
                snprintf(tree.id, sizeof(tree.id), "%s", stack.layers.ids[0]);
        tree.n_uppers = strv_length(stack.layers.ids);
        if (r >= 0) {
                tree.fd = layers_mount(store_fd, &stack.layers, false);
                r = MIN(tree.fd, 0);
        }
        if (r < 0) {
                tree_close(&tree);
                return set_failure_errno(ret_error, r, "Failed to mount the layers of image '%s'",
                                         spec->image);
        }
        *ret = tree;
        return 0;
}

/* The UUID of a subvolume stays when a snapshot of the subvolume takes its name. */
static void read_uuid(Tree *tree)
{
        SubvolumeInfo info;

        if (!image_is_subvolume(tree->fd))
                return;
        _cleanup_close_ int fd = fd_reopen(tree->fd, O_RDONLY | O_DIRECTORY);
        if (fd >= 0 && subvolume_info(fd, &info) >= 0)
                snprintf(tree->id, sizeof(tree->id), "%s", info.uuid);
}

/* Stacks are in the store only. */
static bool is_stack(const Scope *scope, const char *path)
{
        const char *below = startswith(path, scope->store),
                   *file = below && below[0] == '/' ? below + 1 : NULL;

        return file && !strchr(file, '/') && endswith(file, STACK_SUFFIX);
}

int tree_open(const Scope *scope, const Spec *spec, const char *path, int run_fd, Tree *ret,
              char **ret_error)
{
        struct stat st;
        int r;

        _cleanup_close_ int stage_fd = mounts_enter_stage(scope, MS_SLAVE);
        if (stage_fd < 0)
                return set_failure_errno(
                        ret_error, stage_fd,
                        "Failed to make a mount namespace, or to mount its directory of stages");
        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to open the image '%s'", path);
        if (S_ISDIR(st.st_mode) && spec_wants_hashes(spec))
                return set_failure(ret_error, -EINVAL, "Image '%s' is no disk: RootHash=%s is about disks.",
                                   spec->image, spec->root_hash);
        if (S_ISDIR(st.st_mode) && is_stack(scope, path))
                return open_stack(spec, fd, path, ret, ret_error);
        if (S_ISDIR(st.st_mode)) {
                *ret = (Tree){ .fd = TAKE_FD(fd) };
                read_uuid(ret);
                return 0;
        }
        r = open_disk(scope, spec, path, run_fd, ret_error);
        struct statvfs fs;
        if (r >= 0)
                *ret = (Tree){ .fd = r,
                               .disk = true,
                               .read_only = fstatvfs(r, &fs) >= 0 && (fs.f_flag & ST_RDONLY) };
        return MIN(r, 0);
}

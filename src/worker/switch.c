/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Replaces the contents of an image at once: by those of one of its snapshots, or by those of another
 * image. */

#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/random.h"
#include "state/record.h"
#include "store/identity.h"
#include "store/subvolume.h"
#include "worker/idle.h"
#include "worker/snapshots.h"
#include "worker/switch.h"

/* The new contents: a snapshot of the image itself, or another image. One of the two members is NULL. */
typedef struct Source {
        const Snapshot *snapshot;
        const char *image;
} Source;

/* --- stacks -------------------------------------------------------------------------------------------- */

/* Copies the identity of the machine (machine ID, host name, ssh host keys) to the new contents. */
static int carry_identity(int store_fd, const Layers *from, const Layers *to)
{
        _cleanup_close_ int old_fd = layers_mount(store_fd, from, false);
        _cleanup_close_ int new_fd = old_fd < 0 ? old_fd : layers_mount(store_fd, to, true);

        return new_fd < 0 ? new_fd : identity_carry(old_fd, new_fd);
}

/* Without *keep, the old contents are dropped. With *keep, they become the snapshot *keep, and the snapshot
 * that `source` names is removed from the list. */
static int switch_stack(Subject *s, const Source *source, char **keep, char **ret_error)
{
        _cleanup_free_ char *used = *keep && source->snapshot ? strdup(source->snapshot->name) : NULL;
        _cleanup_layers_ Layers layers = {};
        Layers old;
        int r;

        r = source->snapshot ? layers_copy(&layers, &source->snapshot->layers, 0)
                             : store_share(s->store_fd, source->image, &layers);
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r,
                                   "Image '%s' is of another type than '%s', which is a stack.",
                                   source->image, s->name);
        if (r >= 0)
                r = layers_push(s->store_fd, &layers, &s->stack.layers);
        if (r >= 0 && source->image)
                r = carry_identity(s->store_fd, &s->stack.layers, &layers);
        if (r < 0)
                return r;
        old = s->stack.layers;
        s->stack.layers = layers;
        layers = old;
        if (*keep) {
                subject_drop(s, *keep);
                if (used)
                        subject_drop(s, used);
                r = subject_append(s, keep, &layers);
        }
        return r < 0 ? r : stack_write(s->fd, &s->stack);
}

/* --- subvolumes ---------------------------------------------------------------------------------------- */

static int prepare(int tree_fd, void *userdata)
{
        const int *old_fd = userdata;

        return identity_carry(*old_fd, tree_fd);
}

static int copy_to_subvolume(Subject *s, const Source *source, const char *keep, char **ret_error)
{
        ImageType type = IMAGE_SUBVOLUME;
        _cleanup_close_ int fd = source->snapshot
                                         ? subject_open_tree(s, source->snapshot)
                                         : store_open_versioned(s->store_fd, source->image, false, &type);

        if (fd == -EOPNOTSUPP || (fd >= 0 && type != IMAGE_SUBVOLUME))
                return set_failure(ret_error, -EOPNOTSUPP,
                                   "Image '%s' is of another type than '%s', which is a subvolume.",
                                   source->image, s->name);
        return fd < 0 ? fd
                      : subvolume_switch(s->store_fd, s->name, fd, keep, source->image ? prepare : NULL,
                                         &s->fd);
}

static int switch_subvolume(Subject *s, const Source *source, const char *keep, char **ret_error)
{
        /* A hidden name: if the worker is killed, a later sweep removes this snapshot. */
        _cleanup_free_ char *unwanted = keep ? NULL : strf(".rollback-%016" PRIx64, random_u64());
        ImageType type;

        if (keep)
                return source->snapshot
                               ? subvolume_revert(s->store_fd, s->name, source->snapshot->name, keep)
                               : copy_to_subvolume(s, source, keep, ret_error);
        OOM_CHECK(unwanted);
        int r = copy_to_subvolume(s, source, unwanted, ret_error);
        if (r < 0)
                return r;
        /* The image is a new subvolume with another UUID, and its snapshots belong to the new UUID. */
        _cleanup_close_ int new_fd = store_open_versioned(s->store_fd, s->name, false, &type);
        return new_fd < 0 ? new_fd : subvolume_remove_snapshot(s->store_fd, new_fd, unwanted);
}

static int switch_to(Subject *s, const Source *source, char **keep, char **ret_error)
{
        int r;

        if (image_is_read_only(s->fd))
                return set_failure(ret_error, -EROFS, "Image '%s' is read-only.", s->name);
        r = s->type == IMAGE_STACK ? switch_stack(s, source, keep, ret_error)
                                   : switch_subvolume(s, source, *keep, ret_error);
        if (r == -EMLINK)
                return set_failure(ret_error, r, "There are too many layers; a clone with --copy has one.");
        return r;
}

/* --- the way back -------------------------------------------------------------------------------------- */

typedef struct Change {
        const Job *job;
        char **ret_error;
} Change;

static int roll_back(int store_fd, const char *name, void *userdata)
{
        const Change *change = userdata;
        const SnapshotRequest *request = change->job->request;
        SnapshotAnswer *answer = change->job->answer;
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        Source source = {};
        char *keep = NULL;
        size_t i = 0;
        int r;

        (void) store_fd;
        r = subject_open(change->job->scope, name, false, &s, change->ret_error);
        if (r >= 0)
                r = subject_find_snapshot(&s, request->snapshot, &i, change->ret_error);
        if (r < 0)
                return r;
        answer->snapshot = strdup(s.stack.snapshots[i].name);
        OOM_CHECK(answer->snapshot);
        source.snapshot = s.stack.snapshots + i;
        return switch_to(&s, &source, &keep, change->ret_error);
}

int work_roll_back(const Job *job, char **ret_error)
{
        const SnapshotRequest *request = job->request;
        Change change = { job, ret_error };
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        int r = store_fd < 0
                        ? store_fd
                        : while_idle(job->scope, request->name, roll_back, store_fd, &change, ret_error);

        if (r >= 0)
                store_sweep_layers(store_fd);
        return r;
}

/* --- another one --------------------------------------------------------------------------------------- */

int work_switch(const Job *job, char **ret_error)
{
        const SwitchRequest *request = job->request;
        SnapshotAnswer *answer = job->answer;
        _cleanup_store_lock_ StoreLock image_lock = { .fd = -EBADF }, source_lock = { .fd = -EBADF };
        const char *name = request->name, *image = request->image;
        _cleanup_free_ char *keep = isempty(request->keep) ? snapshot_name_now("before-")
                                                           : strdup(request->keep);
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        Source source = { .image = isempty(image) ? NULL : image };
        size_t i = 0;
        int r;

        OOM_CHECK(keep);
        /* carry_identity() mounts stacks: that happens in a mount namespace of the worker. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        /* store_open() sweeps the store. This comes before the lock, which starts wait for. */
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        _cleanup_close_ int run_fd = store_fd < 0 ? store_fd : run_dir_open(job->scope);
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : image_lock_starts(job->scope, run_fd, name);
        if (lock_fd < 0)
                return lock_fd;
        if (source.image && streq(name, image))
                return set_failure(ret_error, -EINVAL, "An image cannot replace itself.");
        r = source.image ? image_lock_source(job->scope, run_fd, image, &source_lock, ret_error) : 0;
        if (r >= 0)
                r = subject_open_first(job->scope, run_fd, name, &image_lock, &s, ret_error);
        /* A revert, which has no source.image, replaces the snapshot `keep` of an earlier failed update. */
        if (r >= 0)
                r = source.image ? subject_check_label(&s, keep, ret_error)
                                 : subject_check_unused(&s, keep, ret_error);
        if (r >= 0 && !source.image)
                r = subject_find_snapshot(&s, request->snapshot, &i, ret_error);
        if (r < 0)
                return r;
        source.snapshot = source.image ? NULL : s.stack.snapshots + i;
        answer->snapshot = strdup(keep);
        OOM_CHECK(answer->snapshot);
        r = switch_to(&s, &source, &keep, ret_error);
        s.lock_fd = fd_close(s.lock_fd); /* store_sweep_layers() takes this lock */
        lock_fd = fd_close(lock_fd);
        if (r >= 0)
                store_sweep_layers(store_fd);
        return r;
}

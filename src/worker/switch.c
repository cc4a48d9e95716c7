/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An image gets other contents, in one instant: those of one of its snapshots, or of another image. */

#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/random.h"
#include "image/identity.h"
#include "image/subvolume.h"
#include "sandbox/record.h"
#include "worker/snapshots.h"

/* What it is to have: a snapshot of its own, or that of an image. */
typedef struct Source {
        const Snapshot *snapshot;
        const char *image;
} Source;

/* --- stacks --------------------------------------------------------------------------------------------------------- */

/* Whoever has another image's contents is still who he was. */
static int carry_identity(int store_fd, const Layers *from, const Layers *to)
{
        _cleanup_close_ int old_fd = layers_mount(store_fd, from, false);
        _cleanup_close_ int new_fd = old_fd < 0 ? old_fd : layers_mount(store_fd, to, true);

        return new_fd < 0 ? new_fd : identity_carry(old_fd, new_fd);
}

/* Without `keep`, what it had is gone; with it, a snapshot that it gets is none any more. */
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

/* --- subvolumes ----------------------------------------------------------------------------------------------------- */

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
        /* Which is swept, where that comes to no end. */
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
        /* It has another UUID now. */
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

/* --- the way back --------------------------------------------------------------------------------------------------- */

typedef struct Change {
        const Request *request;
        char **ret_error;
} Change;

static int roll_back(int store_fd, const char *name, void *userdata)
{
        const Change *change = userdata;
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        Source source = {};
        char *keep = NULL;
        size_t i = 0;
        int r;

        (void) store_fd;
        r = subject_open(name, false, &s, change->ret_error);
        if (r >= 0)
                r = subject_find_snapshot(&s, request_text(change->request, "snapshot"), &i,
                                          change->ret_error);
        if (r < 0)
                return r;
        json_object_set_new(change->request->answer, "snapshot", json_string(s.stack.snapshots[i].name));
        source.snapshot = s.stack.snapshots + i;
        return switch_to(&s, &source, &keep, change->ret_error);
}

int work_image_rollback(const Request *request, char **ret_error)
{
        Change change = { request, ret_error };
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        int r = store_fd < 0
                        ? store_fd
                        : while_idle(request_text(request, "name"), roll_back, store_fd, &change, ret_error);

        if (r >= 0)
                store_sweep_layers(store_fd);
        return r;
}

/* --- another one ---------------------------------------------------------------------------------------------------- */

int work_image_switch(const Request *request, char **ret_error)
{
        _cleanup_store_lock_ StoreLock image_lock = { .fd = -EBADF }, source_lock = { .fd = -EBADF };
        const char *name = request_text(request, "name"), *image = request_text(request, "image");
        _cleanup_free_ char *keep = isempty(request_text(request, "keep"))
                                            ? snapshot_name_now("before-")
                                            : strdup(request_text(request, "keep"));
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        Source source = { .image = isempty(image) ? NULL : image };
        size_t i = 0;
        int r;

        OOM_CHECK(keep);
        /* Stacks are mounted for it. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        /* What there is to sweep, before starts have to wait. */
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        _cleanup_close_ int run_fd = store_fd < 0 ? store_fd : run_dir_open();
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return lock_fd;
        if (source.image && streq(name, image))
                return set_failure(ret_error, -EINVAL, "That is the image itself.");
        r = source.image ? images_lock_source(run_fd, image, &source_lock, ret_error) : 0;
        if (r >= 0)
                r = subject_open_first(run_fd, name, &image_lock, &s, ret_error);
        /* One that goes back replaces the last of those that did not do. */
        if (r >= 0)
                r = source.image ? subject_check_label(&s, keep, ret_error)
                                 : subject_check_unused(&s, keep, ret_error);
        if (r >= 0 && !source.image)
                r = subject_find_snapshot(&s, request_text(request, "snapshot"), &i, ret_error);
        if (r < 0)
                return r;
        source.snapshot = source.image ? NULL : s.stack.snapshots + i;
        json_object_set_new(request->answer, "snapshot", json_string(keep));
        r = switch_to(&s, &source, &keep, ret_error);
        s.lock_fd = fd_close(s.lock_fd); /* which sweeping takes */
        lock_fd = fd_close(lock_fd);
        if (r >= 0)
                store_sweep_layers(store_fd);
        return r;
}

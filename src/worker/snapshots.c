/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots of stacks and subvolumes. */

#include <sys/stat.h>
#include <time.h>

#include "basic/time.h"
#include "sandbox/cgroup.h"
#include "state/claim.h"
#include "state/record.h"
#include "store/image-user.h"
#include "store/store.h"
#include "store/subvolume.h"
#include "worker/idle.h"
#include "worker/snapshots.h"

/* --- what a snapshot is of ----------------------------------------------------------------------------- */

void subject_clear(Subject *s)
{
        fd_close(s->fd);
        fd_close(s->lock_fd);
        fd_close(s->store_fd);
        stack_clear(&s->stack);
}

static int read_snapshots(Subject *s)
{
        return s->type == IMAGE_STACK ? stack_read(s->fd, &s->stack)
                                      : subvolume_list_snapshots(s->store_fd, s->fd, &s->stack.snapshots,
                                                                 &s->stack.n_snapshots);
}

int subject_open(const Scope *scope, const char *name, bool convert, Subject *ret, char **ret_error)
{
        int r;

        ret->scope = scope;
        ret->name = name;
        ret->store_fd = store_open(scope->store);
        if (ret->store_fd < 0)
                return ret->store_fd;
        ret->lock_fd = stack_lock(ret->store_fd);
        if (ret->lock_fd < 0)
                return ret->lock_fd;
        (void) subvolume_settle(ret->store_fd);
        ret->fd = store_open_versioned(ret->store_fd, name, convert, &ret->type);
        if (ret->fd == -EOPNOTSUPP)
                return set_failure(ret_error, ret->fd, "Image '%s' is of a type that has no snapshots.",
                                   name);
        if (ret->fd == -ENOENT)
                return set_failure(ret_error, -ENOMEDIUM, "There is no image '%s'.", name);
        r = ret->fd < 0 ? ret->fd : read_snapshots(ret);
        return r == -EBADMSG ? set_failure(ret_error, r,
                                           "Image '%s' has no manifest that can be understood.", name)
                             : r;
}

int subject_find_snapshot(const Subject *s, const char *name, size_t *ret, char **ret_error)
{
        for (size_t i = s->stack.n_snapshots; i-- > 0;)
                if (isempty(name) || streq(s->stack.snapshots[i].name, name)) {
                        *ret = i;
                        return 0;
                }
        return isempty(name) ? set_failure(ret_error, -ENOENT, "The image has no snapshots.")
                             : set_failure(ret_error, -ENOENT, "The image has no snapshot '%s'.", name);
}

int subject_check_label(const Subject *s, const char *name, char **ret_error)
{
        for (size_t i = 0; i < s->stack.n_snapshots; i++)
                if (streq(s->stack.snapshots[i].name, name))
                        return set_failure(ret_error, -EEXIST, "There is a snapshot '%s' already.", name);
        return 0;
}

/* The layers of a snapshot that are neither in the stack nor in another snapshot. */
static int find_own_layers(const Stack *stack, const Snapshot *snapshot, Strv *ret)
{
        int r = 0;

        STRV_FOREACH (id, snapshot->layers.ids) {
                bool shared = strv_contains(stack->layers.ids, *id);
                for (size_t i = 0; i < stack->n_snapshots && !shared; i++)
                        shared = stack->snapshots + i != snapshot &&
                                 strv_contains(stack->snapshots[i].layers.ids, *id);
                if (r >= 0 && !shared)
                        r = strv_append(ret, *id);
        }
        return r;
}

/* The lock of run_dir_lock() is not needed: a start that has not written its record yet uses the current
 * tree of the image, not the tree of a snapshot. */
int subject_check_unused(const Subject *s, const char *name, char **ret_error)
{
        _cleanup_strv_ Strv trees = NULL;
        _cleanup_free_ char *user = NULL;
        const Snapshot *snapshot = NULL;
        SubvolumeInfo info;
        int r = 0;

        for (size_t i = 0; i < s->stack.n_snapshots; i++)
                if (streq(s->stack.snapshots[i].name, name))
                        snapshot = s->stack.snapshots + i;
        if (!snapshot)
                return 0;
        if (s->type == IMAGE_STACK)
                r = find_own_layers(&s->stack, snapshot, &trees);
        else {
                _cleanup_close_ int fd = subject_open_tree(s, snapshot);
                r = fd < 0 ? fd : subvolume_info(fd, &info);
                if (r >= 0)
                        r = strv_append(&trees, info.uuid);
        }
        _cleanup_close_ int run_fd = r < 0 || !trees ? -EBADF : run_dir_open(s->scope);
        if (r >= 0 && trees)
                r = run_fd < 0 ? run_fd : image_find_tree_user(run_fd, trees, &user);
        return r > 0 ? set_failure(ret_error, -EBUSY, "Machine '%s' runs from the tree of snapshot '%s'.",
                                   user, name)
                     : r;
}

int subject_open_tree(const Subject *s, const Snapshot *snapshot)
{
        if (s->type == IMAGE_STACK)
                return layers_mount(s->store_fd, snapshot ? &snapshot->layers : &s->stack.layers, false);
        return snapshot ? subvolume_open_snapshot(s->store_fd, s->fd, snapshot->name)
                        : fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
}

int subject_append(Subject *s, char **name, Layers *layers)
{
        Snapshot *list = reallocarray(s->stack.snapshots, s->stack.n_snapshots + 1, sizeof(Snapshot));

        OOM_CHECK(list);
        s->stack.snapshots = list;
        list[s->stack.n_snapshots++] = (Snapshot){ TAKE_PTR(*name), now_usec(CLOCK_REALTIME), *layers };
        *layers = (Layers){};
        return 0;
}

/* Locks a directory that is to become a stack. systemd-nspawn and other tools of systemd hold this lock
 * while they use the directory. */
static int lock_directory(const Scope *scope, const char *name, StoreLock *ret, char **ret_error)
{
        ImageType type;
        _cleanup_close_ int store_fd = open(scope->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno
                                              : image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);

        if (fd < 0 || type != IMAGE_DIRECTORY)
                return 0; /* subject_open() reports errors */
        int r = image_check_inner_mounts(store_fd, name, ret_error);
        if (r < 0)
                return r;
        r = store_lock_image(store_fd, name, true, ret);
        return r == -EBUSY ? set_failure(ret_error, r, "Image '%s' is in use.", name) : r;
}

static int find_user_of(const Scope *scope, int run_fd, const char *name, char **ret)
{
        _cleanup_close_ int store_fd = open(scope->store, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return store_fd < 0 ? -errno : image_find_user(run_fd, store_fd, name, ret);
}

int subject_open_first(const Scope *scope, int run_fd, const char *name, StoreLock *image_lock, Subject *ret,
                       char **ret_error)
{
        _cleanup_free_ char *user = NULL;
        int r;

        /* While a machine runs from a directory, the directory is not converted to a stack. */
        int used = find_user_of(scope, run_fd, name, &user);
        if (used < 0 && used != -ENOENT)
                return used;
        r = used > 0 ? 0 : lock_directory(scope, name, image_lock, ret_error);
        if (r >= 0)
                r = subject_open(scope, name, used <= 0, ret, ret_error);
        if (r == -EOPNOTSUPP && ret->type == IMAGE_DIRECTORY && user)
                return set_failure(
                        ret_error, -EBUSY,
                        "Machine '%s' runs from that directory, which becomes a stack with its first "
                        "snapshot: "
                        "power it off for that.",
                        user);
        if (r < 0)
                return r;
        if (ret->type == IMAGE_STACK) {
                r = image_check_mounts(ret->store_fd, name, ret_error);
                if (r < 0)
                        return r;
        }
        if (ret->type == IMAGE_STACK && image_is_read_only(ret->fd))
                return set_failure(ret_error, -EROFS, "Image '%s' is read-only.", name);
        return 0;
}

/* --- snapshots ----------------------------------------------------------------------------------------- */

char *snapshot_name_now(const char *prefix)
{
        time_t now = time(NULL);
        struct tm tm;
        char text[64];

        return gmtime_r(&now, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0
                       ? strf("%s%s", prefix, text)
                       : NULL;
}

/* Freezes the machine that writes to an image, and syncs the file system. The caller calls let_go()
 * afterwards, even after an error. */
static int hold(pid_t leader, int image_fd, char **ret_error)
{
        if (leader <= 0)
                return 0;
        int r = cgroup_freeze(leader, true);
        if (r < 0)
                return set_failure(ret_error, r, "Cannot freeze the machine that writes to the image: %s",
                                   strerror(-r));
        return RET_NERRNO(syncfs(image_fd));
}

static void let_go(pid_t leader)
{
        if (leader > 0)
                (void) cgroup_freeze(leader, false);
}

/* A layer that a machine writes to cannot be shared: the snapshot gets a copy of the topmost layer. During
 * the copy, neither the lock of run_dir_lock() nor the lock of stack_lock() is held. */
static int take_copy(pid_t leader, Subject *s, Layers *ret_layers, char **ret_error)
{
        TreeCopy c = TREE_COPY_ALL;
        _cleanup_free_ char *hidden = NULL;
        int r = layers_reserve(s->store_fd, &s->stack.layers, ret_layers, &hidden);

        c.layer = true;
        s->lock_fd = fd_close(s->lock_fd);
        if (r >= 0)
                r = hold(leader, s->fd, ret_error);
        if (r >= 0)
                r = layers_fill(s->store_fd, &s->stack.layers, ret_layers->ids[0], &c);
        if (r >= 0)
                r = RET_NERRNO(syncfs(s->fd));
        let_go(leader);
        if (r < 0 && c.failed[0])
                r = set_failure(ret_error, r, "'%s': %s", c.failed, strerror(-r));
        s->lock_fd = stack_lock(s->store_fd);
        if (r >= 0)
                r = MIN(s->lock_fd, 0);
        /* Another worker may have changed the manifest during the copy. */
        if (r >= 0) {
                stack_clear(&s->stack);
                r = stack_read(s->fd, &s->stack);
        }
        if (hidden)
                (void) store_destroy(s->store_fd, hidden, NULL);
        return r;
}

/* The snapshot gets the layers of the stack, and the stack gets a new layer on top. If the topmost layer is
 * empty, the stack keeps it instead, and the snapshot gets the layers below it. */
static int take_layers(Subject *s, Layers *ret)
{
        bool clean = layers_are_clean(s->store_fd, &s->stack.layers);
        int r = layers_copy(ret, &s->stack.layers, clean);

        return r < 0 || clean ? r : layers_push(s->store_fd, &s->stack.layers, &s->stack.layers);
}

static int take_of_stack(Subject *s, bool written, pid_t leader, char **label, char **ret_error)
{
        _cleanup_layers_ Layers layers = {};
        int r = written ? take_copy(leader, s, &layers, ret_error) : take_layers(s, &layers);

        if (r >= 0 && written)
                r = subject_check_label(s, *label, ret_error);
        if (r == -EMLINK)
                return set_failure(ret_error, r,
                                   "Image '%s' has too many layers; a clone with --copy has one.", s->name);
        if (r >= 0)
                r = subject_append(s, label, &layers);
        if (r >= 0)
                r = stack_write(s->fd, &s->stack);
        return r == -E2BIG ? set_failure(ret_error, r, "Image '%s' has too many snapshots.", s->name) : r;
}

/* btrfs makes snapshots in no time, but the snapshot must have everything that the machine has written. */
static int take_of_subvolume(Subject *s, pid_t leader, const char *label, char **ret_error)
{
        int r = hold(leader, s->fd, ret_error);

        if (r >= 0)
                r = subvolume_take_snapshot(s->store_fd, s->fd, label);
        let_go(leader);
        return r;
}

int work_snapshot(const Job *job, char **ret_error)
{
        const SnapshotRequest *request = job->request;
        SnapshotAnswer *answer = job->answer;
        _cleanup_store_lock_ StoreLock image_lock = { .fd = -EBADF };
        pid_t leader = request->target.leader;
        _cleanup_free_ char *label = isempty(request->snapshot) ? snapshot_name_now("")
                                                                : strdup(request->snapshot),
                            *user = NULL;
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        struct stat st;
        int r;

        OOM_CHECK(label);
        /* store_open() sweeps the store. This comes before the lock, which starts wait for. */
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        _cleanup_close_ int run_fd = store_fd < 0 ? store_fd : run_dir_open(job->scope);
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd
                                                 : image_lock_starts(job->scope, run_fd, request->name);
        if (lock_fd < 0)
                return lock_fd;
        r = subject_open_first(job->scope, run_fd, request->name, &image_lock, &s, ret_error);
        if (r >= 0)
                r = subject_check_label(&s, label, ret_error);
        if (r < 0)
                return r;
        if (fstat(s.fd, &st) < 0)
                return -errno;
        r = claim_find_writer(run_fd, &st, &user);
        if (r > 0 && !streq_ptr(user, request->writer))
                return set_failure(ret_error, -EBUSY,
                                   "Machine '%s' has begun to write to image '%s': try again.", user,
                                   request->name);
        if (r < 0)
                return r;
        if (r > 0)
                lock_fd = fd_close(lock_fd); /* the snapshot may take long */
        answer->snapshot = strdup(label);
        OOM_CHECK(answer->snapshot);
        return s.type == IMAGE_STACK ? take_of_stack(&s, r > 0, leader, &label, ret_error)
                                     : take_of_subvolume(&s, leader, label, ret_error);
}

void subject_drop(Subject *s, const char *name)
{
        Stack *stack = &s->stack;

        for (size_t i = 0; i < stack->n_snapshots; i++) {
                if (!streq(stack->snapshots[i].name, name))
                        continue;
                free(stack->snapshots[i].name);
                layers_clear(&stack->snapshots[i].layers);
                stack->n_snapshots--;
                memmove(stack->snapshots + i, stack->snapshots + i + 1,
                        (stack->n_snapshots - i) * sizeof(Snapshot));
                return;
        }
}

static int remove_of_stack(Subject *s, const char *name)
{
        subject_drop(s, name);
        return stack_write(s->fd, &s->stack);
}

static int rename_of_stack(Subject *s, size_t i, const char *new_name)
{
        int r = free_and_strdup(&s->stack.snapshots[i].name, "");

        if (r < 0)
                return r;
        subject_drop(s, new_name);
        for (i = 0; s->stack.snapshots[i].name[0]; i++)
                ;
        r = free_and_strdup(&s->stack.snapshots[i].name, new_name);
        return r < 0 ? r : stack_write(s->fd, &s->stack);
}

int work_rename_snapshot(const Job *job, char **ret_error)
{
        const RenameSnapshotRequest *request = job->request;
        const char *new_name = request->new_name;
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        size_t i = 0;
        int r;

        r = subject_open(job->scope, request->name, false, &s, ret_error);
        if (r >= 0)
                r = subject_find_snapshot(&s, request->snapshot, &i, ret_error);
        if (r < 0 || streq(s.stack.snapshots[i].name, new_name))
                return r;
        r = subject_check_unused(&s, new_name, ret_error);
        if (r < 0)
                return r;
        r = s.type == IMAGE_STACK
                    ? rename_of_stack(&s, i, new_name)
                    : subvolume_rename_snapshot(s.store_fd, s.fd, s.stack.snapshots[i].name, new_name);
        s.lock_fd = fd_close(s.lock_fd); /* store_sweep_layers() takes this lock */
        if (r >= 0)
                store_sweep_layers(s.store_fd);
        return r;
}

int work_remove_snapshot(const Job *job, char **ret_error)
{
        const SnapshotRequest *request = job->request;
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        size_t i = 0;
        int r;

        r = subject_open(job->scope, request->name, false, &s, ret_error);
        if (r >= 0)
                r = subject_find_snapshot(&s, request->snapshot, &i, ret_error);
        if (r < 0)
                return r;
        r = subject_check_unused(&s, s.stack.snapshots[i].name, ret_error);
        if (r < 0)
                return r;
        r = s.type == IMAGE_STACK ? remove_of_stack(&s, s.stack.snapshots[i].name)
                                  : subvolume_remove_snapshot(s.store_fd, s.fd, s.stack.snapshots[i].name);
        s.lock_fd = fd_close(s.lock_fd); /* store_sweep_layers() takes this lock */
        if (r >= 0)
                store_sweep_layers(s.store_fd);
        return r;
}

int work_thaw(const Job *job, char **ret_error)
{
        const ThawRequest *request = job->request;

        (void) ret_error;
        return cgroup_freeze(request->target.leader, false);
}

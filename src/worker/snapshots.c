/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots of images: what a stack had at some time. */

#include <sys/stat.h>
#include <time.h>

#include "basic/time.h"
#include "image/store.h"
#include "sandbox/cgroup.h"
#include "sandbox/claim.h"
#include "sandbox/record.h"
#include "worker/snapshots.h"

/* --- what a snapshot is of ------------------------------------------------------------------------------------------ */

void subject_clear(Subject *s)
{
        fd_close(s->fd);
        fd_close(s->lock_fd);
        fd_close(s->store_fd);
        stack_clear(&s->stack);
}
int subject_open(const char *name, bool convert, Subject *ret, char **ret_error)
{
        int r;

        ret->store_fd = store_open(IMAGE_STORE);
        if (ret->store_fd < 0)
                return ret->store_fd;
        ret->lock_fd = stack_lock(ret->store_fd);
        if (ret->lock_fd < 0)
                return ret->lock_fd;
        ret->fd = store_open_stack(ret->store_fd, name, convert);
        if (ret->fd == -ENOTDIR)
                return set_failure(ret_error, -EOPNOTSUPP, "Image '%s' is of a type that has no snapshots.",
                                   name);
        if (ret->fd == -ENOENT)
                return set_failure(ret_error, -ENOENT, "There is no image '%s'.", name);
        r = ret->fd < 0 ? ret->fd : stack_read(ret->fd, &ret->stack);
        return r == -EBADMSG ? set_failure(ret_error, r,
                                           "Image '%s' has no manifest that can be understood.", name)
                             : r;
}

/* The one of that name, or the last one. */
int subject_find_snapshot(const Stack *stack, const char *name, size_t *ret, char **ret_error)
{
        for (size_t i = stack->n_snapshots; i-- > 0;)
                if (isempty(name) || streq(stack->snapshots[i].name, name)) {
                        *ret = i;
                        return 0;
                }
        return isempty(name) ? set_failure(ret_error, -ENOENT, "The image has no snapshots.")
                             : set_failure(ret_error, -ENOENT, "The image has no snapshot '%s'.", name);
}

/* --- snapshots ------------------------------------------------------------------------------------------------------ */

static char *name_now(void)
{
        time_t now = time(NULL);
        struct tm tm;
        char text[64];

        return gmtime_r(&now, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0
                       ? strdup(text)
                       : NULL;
}

/* What is written to cannot be shared: there is a copy of what was changed. Others wait for neither lock meanwhile. */
static int take_copy(const Request *request, Subject *s, Strv *ret_layers, char **ret_error)
{
        pid_t leader = (pid_t) json_integer_value(json_object_get(request->json, "leader"));
        TreeCopy c = { .from = { 0, UINT32_MAX }, .to = { 0, UINT32_MAX }, .layer = true };
        _cleanup_free_ char *hidden = NULL;
        int r = stack_reserve(s->store_fd, &s->stack, ret_layers, &hidden);

        s->lock_fd = fd_close(s->lock_fd);
        if (r >= 0 && leader > 0) {
                r = cgroup_freeze(leader, true);
                if (r >= 0)
                        (void) syncfs(s->fd);
                else
                        r = set_failure(ret_error, r, "The machine that writes to it cannot be held: %s",
                                        strerror(-r));
        }
        if (r >= 0)
                r = stack_fill(s->store_fd, &s->stack, (*ret_layers)[0], &c);
        if (r >= 0)
                r = RET_NERRNO(syncfs(s->fd));
        if (leader > 0)
                (void) cgroup_freeze(leader, false);
        if (r < 0 && c.failed[0])
                r = set_failure(ret_error, r, "'%s': %s", c.failed, strerror(-r));
        s->lock_fd = stack_lock(s->store_fd);
        if (r >= 0)
                r = MIN(s->lock_fd, 0);
        /* It may have got other snapshots. */
        if (r >= 0) {
                stack_clear(&s->stack);
                r = stack_read(s->fd, &s->stack);
        }
        if (hidden)
                (void) store_destroy(s->store_fd, hidden);
        return r;
}

static int take(Subject *s, Strv *ret_layers)
{
        bool clean = (s->stack.layers[1] || s->stack.base) && stack_is_clean(s->store_fd, &s->stack);
        int r = strv_extend(ret_layers, s->stack.layers + clean);

        return r < 0 || clean ? r : stack_push(s->store_fd, &s->stack, NULL);
}

static int check_name(const Stack *stack, const char *name, char **ret_error)
{
        for (size_t i = 0; i < stack->n_snapshots; i++)
                if (streq(stack->snapshots[i].name, name))
                        return set_failure(ret_error, -EEXIST, "There is a snapshot '%s' already.", name);
        return 0;
}

static int append_snapshot(Stack *stack, char *name, Strv layers)
{
        Snapshot *list = reallocarray(stack->snapshots, stack->n_snapshots + 1, sizeof(Snapshot));

        OOM_CHECK(list);
        stack->snapshots = list;
        list[stack->n_snapshots++] = (Snapshot){ name, now_usec(CLOCK_REALTIME), layers };
        return 0;
}

/* One that becomes a stack must be nobody else's; others tell that so. */
static int lock_directory(const char *name, StoreLock *ret, char **ret_error)
{
        ImageType type;
        _cleanup_close_ int store_fd = open(IMAGE_STORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno
                                              : image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);

        if (fd < 0 || type != IMAGE_DIRECTORY)
                return 0; /* which is told when it is opened */
        int r = store_lock_image(store_fd, name, true, ret);
        return r == -EBUSY ? set_failure(ret_error, r, "Image '%s' is in use.", name) : r;
}

int work_image_snapshot(const Request *request, char **ret_error)
{
        _cleanup_store_lock_ StoreLock image_lock = { .fd = -EBADF };
        const char *image = request_text(request, "name"), *label = request_text(request, "snapshot");
        _cleanup_(subject_clear) Subject s = SUBJECT_NONE;
        _cleanup_free_ char *name = isempty(label) ? name_now() : strdup(label), *user = NULL;
        _cleanup_strv_ Strv layers = NULL;
        struct stat st;
        int r;

        OOM_CHECK(name);
        _cleanup_close_ int run_fd = run_dir_open();
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return lock_fd;
        /* A directory that a machine runs from stays one. */
        r = images_find_user(run_fd, image, &user);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r <= 0) {
                r = lock_directory(image, &image_lock, ret_error);
                if (r < 0)
                        return r;
                r = 0;
        }
        r = subject_open(image, r <= 0, &s, ret_error);
        if (r == -EOPNOTSUPP && user) {
                free(*ret_error);
                *ret_error = NULL;
                return set_failure(
                        ret_error, -EBUSY,
                        "Machine '%s' runs from that directory, which becomes a stack with its first snapshot: "
                        "power it off for that.",
                        user);
        }
        if (r < 0)
                return r;
        r = check_name(&s.stack, name, ret_error);
        if (r < 0)
                return r;
        if (fstat(s.fd, &st) < 0)
                return -errno;
        free(user);
        user = NULL;
        r = claim_find_writer(run_fd, &st, &user);
        if (r > 0 && !streq(user, request_text(request, "writer")))
                return set_failure(ret_error, -EBUSY, "Machine '%s' has begun to write to it: try again.",
                                   user);
        if (r > 0) {
                lock_fd = fd_close(lock_fd);
                r = take_copy(request, &s, &layers, ret_error);
                if (r >= 0)
                        r = check_name(&s.stack, name, ret_error);
        } else if (r == 0)
                r = take(&s, &layers);
        if (r == -EMLINK)
                return set_failure(ret_error, r,
                                   "Image '%s' has too many layers; a clone with --copy has one.", image);
        if (r >= 0)
                r = append_snapshot(&s.stack, name, layers);
        if (r < 0)
                return r;
        json_object_set_new(request->answer, "snapshot", json_string(name));
        TAKE_PTR(name);
        TAKE_PTR(layers);
        r = stack_write(s.fd, &s.stack);
        return r == -E2BIG ? set_failure(ret_error, r, "Image '%s' has too many snapshots.", image) : r;
}

typedef struct Change {
        const Request *request;
        char **ret_error;
} Change;

static int roll_back(int store_fd, const char *name, void *userdata)
{
        const Change *change = userdata;
        char *none[] = { NULL };
        _cleanup_(subject_clear) Subject s = SUBJECT_NONE;
        size_t i = 0;
        int r;

        (void) store_fd;
        r = subject_open(name, false, &s, change->ret_error);
        if (r >= 0)
                r = subject_find_snapshot(&s.stack, request_text(change->request, "snapshot"), &i,
                                          change->ret_error);
        /* One that has no layers of its own is what is below all of them. */
        if (r >= 0)
                r = stack_push(s.store_fd, &s.stack, s.stack.snapshots[i].layers ?: none);
        if (r >= 0)
                r = stack_write(s.fd, &s.stack);
        if (r >= 0)
                json_object_set_new(change->request->answer, "snapshot",
                                    json_string(s.stack.snapshots[i].name));
        return r;
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

int work_snapshot_remove(const Request *request, char **ret_error)
{
        _cleanup_(subject_clear) Subject s = SUBJECT_NONE;
        size_t i = 0;
        int r;

        r = subject_open(request_text(request, "name"), false, &s, ret_error);
        if (r >= 0)
                r = subject_find_snapshot(&s.stack, request_text(request, "snapshot"), &i, ret_error);
        if (r < 0)
                return r;
        free(s.stack.snapshots[i].name);
        strv_free(s.stack.snapshots[i].layers);
        s.stack.n_snapshots--;
        memmove(s.stack.snapshots + i, s.stack.snapshots + i + 1,
                (s.stack.n_snapshots - i) * sizeof(Snapshot));
        r = stack_write(s.fd, &s.stack);
        s.lock_fd = fd_close(s.lock_fd); /* which sweeping takes */
        if (r >= 0)
                store_sweep_layers(s.store_fd);
        return r;
}

int work_thaw(const Request *request, char **ret_error)
{
        (void) ret_error;
        return cgroup_freeze((pid_t) json_integer_value(json_object_get(request->json, "leader")), false);
}

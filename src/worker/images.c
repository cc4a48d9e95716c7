/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/images.h"
#include "state/spec-load.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/time.h"
#include "state/record.h"
#include "worker/idle.h"
#include "worker/measure.h"

static int rename_it(int store_fd, const char *name, void *userdata)
{
        return store_rename(store_fd, name, userdata);
}

static int hide_it(int store_fd, const char *name, void *userdata)
{
        return store_hide(store_fd, name, userdata);
}

static int explain(const char *name, const char *new_name, int r, char **ret_error)
{
        if (r == -ENOENT)
                return set_failure(ret_error, -ENOMEDIUM, "There is no image '%s'.", name);
        if (r == -EEXIST)
                return set_failure(ret_error, r, "There is something called '%s' already.", strna(new_name));
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r,
                                   "The file system of image '%s' does not support this operation.", name);
        return r;
}

typedef struct Copying {
        int store_fd;
        const char *name;
        uint64_t begun; /* µs */
        uint64_t size;  /* bytes; 0 until measured */
} Copying;

/* Measures the image only after one second of copying: a short copy needs no progress. */
static void on_progress(void *userdata, uint64_t bytes)
{
        Copying *c = userdata;

        if (c->size == 0 && now_usec(CLOCK_MONOTONIC) - c->begun > USEC_PER_SEC)
                c->size = MAX(image_size(c->store_fd, c->name), 1U);
        if (c->size > 0)
                tell_progress(bytes, c->size);
}

int work_clone(const Job *job, char **ret_error)
{
        const CloneRequest *request = job->request;
        const char *name = request->name;
        TreeCopy copy = TREE_COPY_ALL;
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        _cleanup_close_ int lock_fd = -EBADF;
        unsigned flags = (unsigned) request->flags & STORE_CLONE_FLAGS;
        ImageType type;
        int r = 0;

        /* store_clone() may mount a stack: that happens in a mount namespace of the worker. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        if (store_fd < 0)
                return store_fd;
        _cleanup_close_ int run_fd = run_dir_open(job->scope);
        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (image_fd < 0)
                return explain(name, request->new_name, image_fd, ret_error);
        r = image_check_inner_mounts(store_fd, name, ret_error);
        if (r < 0)
                return r;
        if ((type == IMAGE_DIRECTORY || type == IMAGE_STACK) && !(flags & (STORE_COPY | STORE_PLAIN))) {
                lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
                r = lock_fd < 0 ? lock_fd
                                : image_prepare_sharing(run_fd, store_fd, name, image_fd, type, &flags,
                                                        ret_error);
        }
        if (r < 0)
                return r;
        if (flags & STORE_COPY)
                lock_fd = fd_close(lock_fd); /* the copy may take long */
        /* Converting a directory to a stack renames it, which needs the exclusive lock. */
        r = store_lock_image(store_fd, name,
                             type == IMAGE_DIRECTORY && !(flags & (STORE_COPY | STORE_PLAIN)), &lock);
        if (r == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is in use.", name);
        if (r < 0 && r != -EROFS)
                return r;
        Copying copying = { store_fd, name, now_usec(CLOCK_MONOTONIC), 0 };
        copy.is_cancelled = is_cancelled;
        copy.progress = on_progress;
        copy.userdata = &copying;
        r = store_clone(store_fd, name, request->new_name, flags, &copy);
        if (r == -ECANCELED)
                return set_failure(ret_error, r, "The clone was cancelled.");
        if (r == -ESTALE)
                return set_failure(ret_error, r, "The image that '%s' is made over is gone, or another one.",
                                   name);
        if (r == -EMLINK)
                return set_failure(ret_error, r, "Image '%s' has too many layers; --copy makes one of them.",
                                   name);
        if (r < 0 && r != -EEXIST && copy.failed[0]) {
                /* copy.failed begins with the hidden name of the new image: show only the path below it. */
                const char *below = strchr(copy.failed, '/');
                return set_failure(ret_error, r, "'%s': %s", below ? below + 1 : name, strerror(-r));
        }
        return explain(name, request->new_name, r, ret_error);
}

int work_rename(const Job *job, char **ret_error)
{
        const RenameRequest *request = job->request;
        _cleanup_close_ int store_fd = store_open(job->scope->store);

        int r = store_fd < 0 ? store_fd
                             : while_idle(job->scope, request->name, rename_it, store_fd, request->new_name,
                                          ret_error);

        return explain(request->name, request->new_name, r, ret_error);
}

/* Once an image is hidden, it is removed. What of it cannot be deleted is told as a text, which the caller
 * frees; NULL for nothing. */
static char *destroy_hidden(int store_fd, const char *hidden)
{
        _cleanup_free_ char *failed = NULL;
        int r = store_destroy_image(store_fd, hidden, &failed);
        const char *below = failed ? strchr(failed, '/') : NULL;

        return r < 0 ? strf("'%s' could not be deleted: %s", below ?: "/", strerror(-r)) : NULL;
}

int work_remove(const Job *job, char **ret_error)
{
        const ImageRequest *request = job->request;
        _cleanup_free_ char *hidden = NULL;
        RemoveAnswer *answer = job->answer;
        _cleanup_close_ int store_fd = store_open(job->scope->store);

        int r = store_fd < 0 ? store_fd
                             : while_idle(job->scope, request->name, hide_it, store_fd, &hidden, ret_error);
        if (r < 0)
                return explain(request->name, NULL, r, ret_error);
        answer->left = destroy_hidden(store_fd, hidden);
        return 0;
}

int work_read_only(const Job *job, char **ret_error)
{
        const ReadOnlyRequest *request = job->request;
        int r = 0;

        _cleanup_close_ int store_fd = store_open(job->scope->store);
        if (store_fd < 0)
                return store_fd;
        if (!request->read_only)
                r = image_check_base(store_fd, request->name, ret_error);
        if (r >= 0)
                r = store_set_read_only(store_fd, request->name, request->read_only);
        return explain(request->name, NULL, r, ret_error);
}

typedef struct Limit {
        uint64_t bytes;
        char **ret_error;
} Limit;

/* Called by while_idle(): no machine can start until adopt() returns. */
static int adopt(int store_fd, const char *name, void *userdata)
{
        const Limit *limit = userdata;
        TreeCopy copy = TREE_COPY_ALL;

        copy.is_cancelled = is_cancelled;
        int r = store_adopt(store_fd, name, limit->bytes, &copy);
        if (r == -EROFS)
                return set_failure(limit->ret_error, r, "Image '%s' is read-only.", name);
        return r < 0 && copy.failed[0]
                       ? set_failure(limit->ret_error, r, "'%s': %s", copy.failed, strerror(-r))
                       : r;
}

static int explain_limit(const char *name, int r, char **ret_error)
{
        if (r == -ENOTDIR)
                return set_failure(ret_error, r, "Image '%s' is a disk, which has its size.", name);
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r,
                                   "Image '%s' is no subvolume, and its file system limits no projects: see "
                                   "prjquota in ext4(5), pquota in xfs(5).",
                                   name);
        if (r == -ENOTCONN)
                return set_failure(
                        ret_error, r,
                        "The file system of image '%s' does not count: --enable-quotas switches its "
                        "quotas on.",
                        name);
        return r;
}

int work_limit(const Job *job, char **ret_error)
{
        const LimitRequest *request = job->request;
        const char *name = request->name;
        uint64_t limit = request->limit;
        int r;

        if (limit == 0)
                return set_failure(ret_error, -EINVAL, "A limit must be larger than 0.");
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        if (store_fd < 0)
                return store_fd;
        r = store_set_limit(store_fd, name, limit);
        /* The tools of systemd expect that quotas are enabled without a separate request. */
        if (r == -ENOTCONN && request->plain) {
                r = store_enable_quotas(store_fd, name);
                if (r >= 0)
                        r = store_set_limit(store_fd, name, limit);
        }
        if (r == -EAGAIN)
                r = while_idle(job->scope, name, adopt, store_fd, &(Limit){ limit, ret_error }, ret_error);
        if (!*ret_error)
                r = explain_limit(name, r, ret_error);
        return *ret_error ? r : explain(name, NULL, r, ret_error);
}

int work_enable_quotas(const Job *job, char **ret_error)
{
        const ImageRequest *request = job->request;
        const char *name = request->name;
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        int r = store_fd < 0 ? store_fd : store_enable_quotas(store_fd, name);

        if (r == -EOPNOTSUPP)
                return set_failure(
                        ret_error, r,
                        "Image '%s' is no subvolume: quotas of other file systems are switched on as "
                        "they are mounted.",
                        name);
        return explain(name, NULL, r, ret_error);
}

typedef struct Removal {
        bool dry_run;
        uint64_t bytes;
        char *hidden;
} Removal;

/* Called by while_idle(): no machine can start from the image meanwhile. */
static int hide_counted(int store_fd, const char *name, void *userdata)
{
        Removal *removal = userdata;

        removal->bytes = image_exclusive_size(store_fd, name);
        return removal->dry_run ? 0 : store_hide(store_fd, name, &removal->hidden);
}

static bool is_removed(const CleanAnswer *answer, const char *name)
{
        for (size_t i = 0; i < answer->n_removed; i++)
                if (streq(answer->removed[i].name, name))
                        return true;
        return false;
}

static int add_removed(CleanAnswer *answer, const char *name, uint64_t bytes)
{
        Removed *list = reallocarray(answer->removed, answer->n_removed + 1, sizeof(Removed));

        OOM_CHECK(list);
        answer->removed = list;
        list[answer->n_removed++] = (Removed){ strdup(name), bytes };
        OOM_CHECK(list[answer->n_removed - 1].name);
        return 0;
}

/* Removes those images that are not in use, and returns their number. `failure` gets the first error other
 * than -EBUSY. */
static unsigned clean_once(const Job *job, int store_fd, const Strv names, int *failure, char **ret_error)
{
        const CleanRequest *request = job->request;
        CleanAnswer *answer = job->answer;
        unsigned n = 0;

        *failure = 0;
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *error = NULL;
                Removal removal = { .dry_run = request->dry_run };
                if (is_removed(answer, *name))
                        continue;
                int r = while_idle(job->scope, *name, hide_counted, store_fd, &removal, &error);
                if (r >= 0 && removal.hidden)
                        free(destroy_hidden(store_fd, removal.hidden));
                free(removal.hidden);
                if (r >= 0)
                        r = add_removed(answer, *name, removal.bytes);
                if (r >= 0) {
                        n++;
                } else if (r != -EBUSY && *failure == 0) {
                        *failure = set_failure(ret_error, r, "Image '%s': %s", *name, error ?: strerror(-r));
                }
        }
        return n;
}

/* Adds to `keep` the images that machines with a machine file would start from. If one of the files cannot
 * be read, this fails, and work_clean() removes nothing. */
static int list_of_files(const Scope *scope, Strv *keep, char **ret_error)
{
        _cleanup_strv_ Strv names = NULL;
        int r = spec_list_names(scope, &names);

        if (r < 0)
                return r;
        STRV_FOREACH (name, names) {
                _cleanup_strv_ Strv warnings = NULL;
                _cleanup_spec_ Spec *spec = NULL;

                r = spec_merge(scope, *name, NULL, &spec, &warnings, ret_error);
                if (r >= 0)
                        r = strv_append(keep, *name);
                if (r >= 0 && spec->image)
                        r = strv_append(keep, spec->image);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Images in use are skipped. If removing one image fails, the other images are removed all the same, and the
 * first error is returned at the end. */
int work_clean(const Job *job, char **ret_error)
{
        const CleanRequest *request = job->request;
        _cleanup_strv_ Strv names = NULL, wanted = NULL, keep = NULL;
        int r, failure = 0;

        r = request->keep_of_files ? list_of_files(job->scope, &keep, ret_error) : 0;
        if (r < 0)
                return r;
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        r = store_fd < 0 ? store_fd : store_list(store_fd, request->all, &names);
        STRV_FOREACH (name, names)
                if (r >= 0 && !strv_contains(request->keep, *name) && !strv_contains(keep, *name))
                        r = strv_append(&wanted, *name);
        /* The base of a stack can be removed after the stack: repeat until nothing more is removed. */
        while (r >= 0 && clean_once(job, store_fd, wanted, &failure, ret_error) > 0)
                if (request->dry_run)
                        break;
        return r < 0 ? r : failure;
}

/* store_open() sweeps the store. */
int work_sweep(const Job *job, char **ret_error)
{
        (void) job;
        (void) ret_error;
        _cleanup_close_ int store_fd = store_open(job->scope->store);
        return MIN(store_fd, 0);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Making images. A new image has a hidden name until it is complete and on disk. */

#include <sys/stat.h>

#include "store/store.h"
#include "worker/idle.h"
#include "worker/make.h"

typedef struct Commit {
        ImageType type;
        const char *hidden;
        bool replace;
} Commit;

static int commit(int store_fd, const char *name, void *userdata)
{
        const Commit *c = userdata;

        return store_commit(store_fd, c->type, c->hidden, name, c->replace);
}

static int fill_and_commit(const Job *job, int store_fd, ImageType type, const char *hidden, Fill fill,
                           char **ret_error)
{
        const TransferRequest *request = job->request;
        const char *name = request->name;
        Commit c = { type, hidden, request->replace };
        int r;

        _cleanup_close_ int image_fd = openat(store_fd, hidden,
                                              (type == IMAGE_RAW ? O_RDWR : O_RDONLY | O_DIRECTORY) |
                                                      O_NOFOLLOW | O_CLOEXEC);
        if (image_fd < 0)
                return -errno;
        r = fill(job, image_fd, ret_error);
        if (r >= 0 && is_cancelled())
                r = -ECANCELED;
        /* If the file system has no read-only images, fail before the image gets its name. */
        if (r >= 0 && request->read_only)
                r = store_try_read_only(store_fd, hidden);
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The file system of the store has no read-only images.");
        /* Sync before the rename: after a power cut, no name may stand for an incomplete image. */
        if (r >= 0)
                r = RET_NERRNO(syncfs(store_fd));
        /* Try without replacing first: only an existing image needs the check that no machine runs from
         * it. */
        if (r >= 0)
                r = store_commit(store_fd, type, hidden, name, false);
        if (r == -EEXIST && c.replace) {
                r = while_idle(job->scope, name, commit, store_fd, &c, ret_error);
                if (r == -ENOTDIR || r == -ENOENT)
                        return set_failure(ret_error, r, "'%s' is no image, and is not replaced.", name);
        }
        if (r == -EEXIST)
                return set_failure(ret_error, r, "There is something called '%s' already.", name);
        if (r >= 0 && request->read_only)
                r = store_set_read_only(store_fd, name, true);
        return r;
}

int make_image(const Job *job, ImageType type, Fill fill, char **ret_error)
{
        const TransferRequest *request = job->request;
        const char *name = request->name;
        _cleanup_free_ char *hidden = NULL;
        int r;

        _cleanup_close_ int store_fd = store_open(job->scope->store);
        if (store_fd < 0)
                return store_fd;
        if (!request->replace && store_has(store_fd, name))
                return set_failure(ret_error, -EEXIST, "There is something called '%s' already.", name);
        r = store_begin(store_fd, type, &hidden);
        if (r >= 0) {
                r = fill_and_commit(job, store_fd, type, hidden, fill, ret_error);
                /* The hidden name stands for an unfinished image, or for the replaced image. */
                (void) store_destroy_image(store_fd, hidden, NULL);
        }
        if (r == -ECANCELED)
                return set_failure(ret_error, r, "The transfer was cancelled.");
        return r;
}

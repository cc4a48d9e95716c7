/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images that are made: under a hidden name, until they are whole and on disk. */

#include <sys/stat.h>

#include "image/store.h"
#include "worker/worker.h"

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

static int fill_and_commit(const Request *request, int store_fd, ImageType type, const char *hidden,
                           Fill fill, char **ret_error)
{
        const char *name = request_text(request, "name");
        Commit c = { type, hidden, request_flag(request, "replace") };
        int r;

        _cleanup_close_ int image_fd = openat(store_fd, hidden,
                                              (type == IMAGE_RAW ? O_RDWR : O_RDONLY | O_DIRECTORY) |
                                                      O_NOFOLLOW | O_CLOEXEC);
        if (image_fd < 0)
                return -errno;
        r = fill(request, image_fd, ret_error);
        if (r >= 0 && is_cancelled())
                r = -ECANCELED;
        /* Where nobody can be kept from writing, there is no such image. */
        if (r >= 0 && request_flag(request, "readOnly"))
                r = store_try_read_only(store_fd, hidden);
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The file system of the store has no read-only images.");
        /* What is not on disk may be gone after a power cut, and its name be there. */
        if (r >= 0)
                r = RET_NERRNO(syncfs(store_fd));
        /* Whatever has the name must not be what a machine runs from. */
        if (r >= 0)
                r = store_commit(store_fd, type, hidden, name, false);
        if (r == -EEXIST && c.replace) {
                r = while_idle(name, commit, store_fd, &c, ret_error);
                if (r == -ENOTDIR || r == -ENOENT)
                        return set_failure(ret_error, r, "'%s' is no image, and is not replaced.", name);
        }
        if (r == -EEXIST)
                return set_failure(ret_error, r, "There is something called '%s' already.", name);
        if (r >= 0 && request_flag(request, "readOnly"))
                r = store_set_read_only(store_fd, name, true);
        return r;
}

int make_image(const Request *request, ImageType type, Fill fill, char **ret_error)
{
        const char *name = request_text(request, "name");
        _cleanup_free_ char *hidden = NULL;
        int r;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        if (!request_flag(request, "replace") && store_has(store_fd, name))
                return set_failure(ret_error, -EEXIST, "There is something called '%s' already.", name);
        r = store_begin(store_fd, type, &hidden);
        if (r >= 0) {
                r = fill_and_commit(request, store_fd, type, hidden, fill, ret_error);
                (void) store_destroy_image(store_fd,
                                           hidden); /* what was not finished, or what was replaced */
        }
        if (r == -ECANCELED)
                return set_failure(ret_error, r, "It was cancelled.");
        return r;
}

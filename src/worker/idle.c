/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/idle.h"

#include <sys/stat.h>

#include "state/claim.h"
#include "state/record.h"
#include "store/image-user.h"
#include "store/mounted.h"
#include "store/stack.h"

int image_check_mounts(int store_fd, const char *name, char **ret_error)
{
        _cleanup_strv_ Strv mounts = NULL;
        int r = image_find_mounts(store_fd, name, &mounts);

        return r < 0 || !mounts
                       ? r
                       : set_failure(ret_error, -EBUSY, "Image '%s' is mounted on '%s'.", name, mounts[0]);
}

int image_check_inner_mounts(int store_fd, const char *name, char **ret_error)
{
        _cleanup_strv_ Strv mounts = NULL;
        int r = image_find_inner_mounts(store_fd, name, &mounts);

        return r < 0 || !mounts ? r
                                : set_failure(ret_error, -EBUSY,
                                              "'%s' is a mount in the tree of image '%s': unmount it first.",
                                              mounts[0], name);
}

/* The base of a stack must not be changed or renamed. */
int image_check_base(int store_fd, const char *name, char **ret_error)
{
        _cleanup_free_ char *user = NULL;
        struct stat st;
        ImageType type;

        _cleanup_close_ int fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (fd < 0 || fstat(fd, &st) < 0)
                return fd < 0 ? fd : -errno;
        int r = type == IMAGE_DIRECTORY ? stack_find_user(store_fd, st.st_ino, &user) : 0;
        if (r == -EBADMSG)
                return set_failure(
                        ret_error, r,
                        "The manifest of a stack is invalid, so the stack may have image '%s' as its base.",
                        name);
        return r > 0 ? set_failure(ret_error, -EBUSY, "Image '%s' is the base of stack '%s'.", name, user)
                     : r;
}

int image_prepare_sharing(int run_fd, int store_fd, const char *name, int image_fd, ImageType type,
                          unsigned *flags, char **ret_error)
{
        _cleanup_free_ char *writer = NULL;
        struct stat st;

        if (fstat(image_fd, &st) < 0)
                return -errno;
        int r = type == IMAGE_DIRECTORY ? image_find_user(run_fd, store_fd, name, &writer)
                                        : claim_find_writer(run_fd, &st, &writer);
        if (r == 0 && (type == IMAGE_STACK || type == IMAGE_DIRECTORY))
                r = image_check_mounts(store_fd, name, ret_error);
        if (r > 0 && type == IMAGE_STACK)
                return set_failure(ret_error, -EBUSY, "Machine '%s' writes to image '%s'.", writer, name);
        if (r > 0)
                *flags |= STORE_COPY;
        return MIN(r, 0);
}

int image_lock_source(const Scope *scope, int run_fd, const char *name, StoreLock *ret, char **ret_error)
{
        unsigned flags = 0;
        ImageType type;
        int r = 0;

        _cleanup_close_ int store_fd = open(scope->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno
                                              : image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (fd < 0)
                return fd == -ENOENT ? set_failure(ret_error, fd, "There is no image '%s'.", name) : fd;
        if (type == IMAGE_DIRECTORY || type == IMAGE_STACK)
                r = image_prepare_sharing(run_fd, store_fd, name, fd, type, &flags, ret_error);
        if (r >= 0)
                r = flags ? -EBUSY : store_lock_image(store_fd, name, type == IMAGE_DIRECTORY, ret);
        return r == -EBUSY && !*ret_error ? set_failure(ret_error, r, "Image '%s' is in use.", name) : r;
}

int image_lock_starts(const Scope *scope, int run_fd, const char *name)
{
        _cleanup_close_ int store_fd = open(scope->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
        /* Errors are ignored here: the caller opens the image again, and reports them. */
        _cleanup_close_ int fd = store_fd < 0 ? -errno
                                              : image_open_in(store_fd, name, O_NOFOLLOW, NULL, NULL);

        (void) fd;
        return run_dir_lock(run_fd, true);
}

int while_idle(const Scope *scope, const char *name,
               int (*change)(int store_fd, const char *name, void *userdata), int store_fd, void *userdata,
               char **ret_error)
{
        _cleanup_free_ char *user = NULL;

        _cleanup_close_ int run_fd = run_dir_open(scope);
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : image_lock_starts(scope, run_fd, name);
        if (lock_fd < 0)
                return lock_fd;
        int r = image_find_user(run_fd, store_fd, name, &user);
        if (r > 0)
                return set_failure(ret_error, -EBUSY, "Machine '%s' runs from image '%s'.", user, name);
        if (r >= 0)
                r = image_check_mounts(store_fd, name, ret_error);
        if (r >= 0)
                r = image_check_inner_mounts(store_fd, name, ret_error);
        if (r >= 0)
                r = image_check_base(store_fd, name, ret_error);
        if (r < 0)
                return r;
        /* systemd-nspawn and other tools of systemd hold this lock while they use an image. */
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        r = store_lock_image(store_fd, name, true, &lock);
        if (r == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is in use.", name);
        return r < 0 ? r : change(store_fd, name, userdata);
}

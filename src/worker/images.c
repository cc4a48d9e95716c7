/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Changes of images in the store. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/time.h"
#include "image/mounted.h"
#include "image/stack.h"
#include "image/store.h"
#include "sandbox/claim.h"
#include "sandbox/record.h"
#include "worker/worker.h"

/* --- who runs from an image --------------------------------------------------------------------------------------- */

/* By whatever path it was named. */
static bool runs_from(int dir_fd, const char *name, const void *what)
{
        const struct stat *image = what;
        _cleanup_record_ Record record = {};
        struct stat st;

        _cleanup_close_ int fd = dir_open_at(dir_fd, name);
        return fd >= 0 && record_read(fd, &record) >= 0 && record.root && stat(record.root, &st) >= 0 &&
               st.st_dev == image->st_dev && st.st_ino == image->st_ino && record_alive(&record);
}

/* Looks through the records of all machines. A start writes its record under the lock that the caller holds. Returns 1 and
 * the name of a machine for which that is true, which the caller frees, or 0. */
static int find_machine(int run_fd, bool (*matches)(int dir_fd, const char *name, const void *what),
                        const void *what, char **ret)
{
        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                _cleanup_(closedir_cleanup) DIR *dir = NULL;
                int fd = machine_dir_open(run_fd, kind, ".", false);
                dir = fd < 0 ? NULL : fdopendir(fd);
                if (!dir) {
                        fd_close(fd);
                        if (fd == -ENOENT)
                                continue;
                        return fd < 0 ? fd : -ENOMEM;
                }
                for (struct dirent *e; (e = readdir(dir));)
                        if (e->d_name[0] != '.' && matches(fd, e->d_name, what)) {
                                *ret = strdup(e->d_name);
                                return *ret ? 1 : -ENOMEM;
                        }
        }
        return 0;
}

static int find_user(int run_fd, int store_fd, const char *name, char **ret)
{
        struct stat image;

        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, NULL, NULL);
        if (image_fd < 0 || fstat(image_fd, &image) < 0)
                return image_fd < 0 ? image_fd : -errno;
        return find_machine(run_fd, runs_from, &image, ret);
}

static bool runs_from_tree(int dir_fd, const char *name, const void *what)
{
        const Strv *trees = what;
        _cleanup_record_ Record record = {};

        _cleanup_close_ int fd = dir_open_at(dir_fd, name);
        return fd >= 0 && record_read(fd, &record) >= 0 && strv_contains(*trees, record.tree) &&
               record_alive(&record);
}

int images_find_tree_user(int run_fd, const Strv trees, char **ret)
{
        return find_machine(run_fd, runs_from_tree, &trees, ret);
}

/* What others are made over stays what it is, and where. */
static int check_base(int store_fd, const char *name, char **ret_error)
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
                        "There is a stack whose manifest cannot be understood: it may be made over it.");
        return r > 0 ? set_failure(ret_error, -EBUSY, "Image '%s' is made over it.", user) : r;
}

int images_find_user(int run_fd, const char *name, char **ret)
{
        _cleanup_close_ int store_fd = open(IMAGE_STORE, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return store_fd < 0 ? -errno : find_user(run_fd, store_fd, name, ret);
}

int images_check_mounts(int store_fd, const char *name, char **ret_error)
{
        _cleanup_strv_ Strv mounts = NULL;
        int r = image_find_mounts(store_fd, name, &mounts);

        return r < 0 || !mounts
                       ? r
                       : set_failure(ret_error, -EBUSY, "Image '%s' is mounted on '%s'.", name, mounts[0]);
}

int while_idle(const char *name, int (*change)(int store_fd, const char *name, void *userdata), int store_fd,
               void *userdata, char **ret_error)
{
        _cleanup_free_ char *user = NULL;

        _cleanup_close_ int run_fd = run_dir_open();
        _cleanup_close_ int lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
        if (lock_fd < 0)
                return lock_fd;
        int r = find_user(run_fd, store_fd, name, &user);
        if (r > 0)
                return set_failure(ret_error, -EBUSY, "Machine '%s' runs from it.", user);
        if (r >= 0)
                r = images_check_mounts(store_fd, name, ret_error);
        if (r >= 0)
                r = check_base(store_fd, name, ret_error);
        if (r < 0)
                return r;
        /* Others, systemd-nspawn among them, tell that so. */
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        r = store_lock_image(store_fd, name, true, &lock);
        if (r == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is in use.", name);
        return r < 0 ? r : change(store_fd, name, userdata);
}

static int rename_it(int store_fd, const char *name, void *userdata)
{
        return store_rename(store_fd, name, userdata);
}

static int hide_it(int store_fd, const char *name, void *userdata)
{
        return store_hide(store_fd, name, userdata);
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static int explain(const Request *request, int r, char **ret_error)
{
        if (r == -ENOENT)
                return set_failure(ret_error, r, "There is no image '%s'.", request_text(request, "name"));
        if (r == -EEXIST)
                return set_failure(ret_error, r, "There is something called '%s' already.",
                                   request_text(request, "newName"));
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The file system of image '%s' cannot do that.",
                                   request_text(request, "name"));
        return r;
}

/* What has become shared must not be written to; and a directory that a machine runs from stays where it is: of that, there is a copy. Under
 * the lock that a start takes. */
static int prepare_sharing(int run_fd, int store_fd, const char *name, int image_fd, ImageType type,
                           unsigned *flags, char **ret_error)
{
        _cleanup_free_ char *writer = NULL;
        struct stat st;

        if (fstat(image_fd, &st) < 0)
                return -errno;
        int r = type == IMAGE_DIRECTORY ? find_user(run_fd, store_fd, name, &writer)
                                        : claim_find_writer(run_fd, &st, &writer);
        if (r == 0 && (type == IMAGE_STACK || type == IMAGE_DIRECTORY))
                r = images_check_mounts(store_fd, name, ret_error);
        if (r > 0 && type == IMAGE_STACK)
                return set_failure(ret_error, -EBUSY, "Machine '%s' writes to image '%s'.", writer, name);
        if (r > 0)
                *flags |= STORE_COPY;
        return MIN(r, 0);
}

int images_lock_source(int run_fd, const char *name, StoreLock *ret, char **ret_error)
{
        unsigned flags = 0;
        ImageType type;
        int r = 0;

        _cleanup_close_ int store_fd = open(IMAGE_STORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno
                                              : image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (fd < 0)
                return fd == -ENOENT ? set_failure(ret_error, fd, "There is no image '%s'.", name) : fd;
        if (type == IMAGE_DIRECTORY || type == IMAGE_STACK)
                r = prepare_sharing(run_fd, store_fd, name, fd, type, &flags, ret_error);
        if (r >= 0)
                r = flags ? -EBUSY : store_lock_image(store_fd, name, type == IMAGE_DIRECTORY, ret);
        return r == -EBUSY && !*ret_error ? set_failure(ret_error, r, "Image '%s' is in use.", name) : r;
}

static unsigned clone_flags(const Request *request)
{
        const json_t *flags = json_object_get(request->json, "flags");

        if (flags)
                return (unsigned) json_integer_value(flags) &
                       (STORE_READ_ONLY | STORE_COPY | STORE_PLAIN | STORE_KEEP_IDENTITY);
        return (request_flag(request, "readOnly") ? STORE_READ_ONLY : 0) |
               (request_flag(request, "plain") ? STORE_PLAIN | STORE_KEEP_IDENTITY : 0);
}

typedef struct Copying {
        int store_fd;
        const char *name;
        uint64_t begun; /* µs */
        uint64_t size;  /* 0 until it is known */
} Copying;

/* What takes less than a second is not counted before. */
static void on_progress(void *userdata, uint64_t bytes)
{
        Copying *c = userdata;

        if (c->size == 0 && now_usec(CLOCK_MONOTONIC) - c->begun > USEC_PER_SEC)
                c->size = MAX(image_size(c->store_fd, c->name), 1U);
        if (c->size > 0)
                tell_progress(bytes, c->size);
}

int work_image_clone(const Request *request, char **ret_error)
{
        const char *name = request_text(request, "name");
        TreeCopy copy = TREE_COPY_ALL;
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        _cleanup_close_ int lock_fd = -EBADF;
        unsigned flags = clone_flags(request);
        ImageType type;
        int r = 0;

        /* A stack is mounted for it. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        _cleanup_close_ int run_fd = run_dir_open();
        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (image_fd < 0)
                return explain(request, image_fd, ret_error);
        if ((type == IMAGE_DIRECTORY || type == IMAGE_STACK) && !(flags & (STORE_COPY | STORE_PLAIN))) {
                lock_fd = run_fd < 0 ? run_fd : run_dir_lock(run_fd, true);
                r = lock_fd < 0 ? lock_fd
                                : prepare_sharing(run_fd, store_fd, name, image_fd, type, &flags, ret_error);
        }
        if (r < 0)
                return r;
        if (flags & STORE_COPY)
                lock_fd = fd_close(lock_fd); /* it may take its time */
        /* A directory that moves must be nobody else's. */
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
        r = store_clone(store_fd, name, request_text(request, "newName"), flags, &copy);
        if (r == -ECANCELED)
                return set_failure(ret_error, r, "It was cancelled.");
        if (r == -ESTALE)
                return set_failure(ret_error, r, "The image that '%s' is made over is gone, or another one.",
                                   name);
        if (r == -EMLINK)
                return set_failure(ret_error, r, "Image '%s' has too many layers; --copy makes one of them.",
                                   name);
        if (r < 0 && r != -EEXIST && copy.failed[0]) {
                /* What is copied has a hidden name still, which says nothing to anybody. */
                const char *below = strchr(copy.failed, '/');
                return set_failure(ret_error, r, "'%s': %s", below ? below + 1 : name, strerror(-r));
        }
        return explain(request, r, ret_error);
}

int work_image_rename(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);

        return explain(request,
                       store_fd < 0 ? store_fd
                                    : while_idle(request_text(request, "name"), rename_it, store_fd,
                                                 (char *) request_text(request, "newName"), ret_error),
                       ret_error);
}

static int remove_image(int store_fd, const char *name, char **ret_error)
{
        _cleanup_free_ char *hidden = NULL;
        int r = while_idle(name, hide_it, store_fd, &hidden, ret_error);

        return r < 0 ? r : store_destroy_image(store_fd, hidden);
}

int work_image_remove(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);

        return explain(request,
                       store_fd < 0 ? store_fd
                                    : remove_image(store_fd, request_text(request, "name"), ret_error),
                       ret_error);
}

int work_image_read_only(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);

        if (store_fd >= 0 && !request_flag(request, "readOnly")) {
                int r = check_base(store_fd, request_text(request, "name"), ret_error);
                if (r < 0)
                        return explain(request, r, ret_error);
        }
        return explain(request,
                       store_fd < 0 ? store_fd
                                    : store_set_read_only(store_fd, request_text(request, "name"),
                                                          request_flag(request, "readOnly")),
                       ret_error);
}

typedef struct Limit {
        uint64_t bytes;
        char **ret_error;
} Limit;

/* Nobody starts from it, or from others, until it is done. */
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
                return set_failure(
                        ret_error, r,
                        "Image '%s' is no subvolume, and its file system limits no projects: see prjquota in ext4(5), pquota in xfs(5).",
                        name);
        if (r == -ENOTCONN)
                return set_failure(
                        ret_error, r,
                        "The file system of image '%s' does not count: --enable-quotas switches its quotas on.",
                        name);
        return r;
}

int work_image_limit(const Request *request, char **ret_error)
{
        const char *name = request_text(request, "name");
        uint64_t limit = (uint64_t) json_integer_value(json_object_get(request->json, "limit"));
        int r;

        if (limit == 0)
                return set_failure(ret_error, -EINVAL, "An image cannot hold nothing.");
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        r = store_set_limit(store_fd, name, limit);
        /* The tools of systemd switch them on. */
        if (r == -ENOTCONN && request_flag(request, "plain")) {
                r = store_enable_quotas(store_fd, name);
                if (r >= 0)
                        r = store_set_limit(store_fd, name, limit);
        }
        if (r == -EAGAIN)
                r = while_idle(name, adopt, store_fd, &(Limit){ limit, ret_error }, ret_error);
        if (!*ret_error)
                r = explain_limit(name, r, ret_error);
        return *ret_error ? r : explain(request, r, ret_error);
}

int work_image_enable_quotas(const Request *request, char **ret_error)
{
        const char *name = request_text(request, "name");
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        int r = store_fd < 0 ? store_fd : store_enable_quotas(store_fd, name);

        if (r == -EOPNOTSUPP)
                return set_failure(
                        ret_error, r,
                        "Image '%s' is no subvolume: quotas of other file systems are switched on as they are mounted.",
                        name);
        return explain(request, r, ret_error);
}

typedef struct Removal {
        bool dry_run;
        uint64_t bytes;
        char *hidden;
} Removal;

/* While nobody can start from it. */
static int hide_counted(int store_fd, const char *name, void *userdata)
{
        Removal *removal = userdata;

        removal->bytes = image_exclusive_size(store_fd, name);
        return removal->dry_run ? 0 : store_hide(store_fd, name, &removal->hidden);
}

/* Removes what can be. Returns how many that were. */
static unsigned clean_once(const Request *request, int store_fd, const Strv names, json_t *removed,
                           int *failure, char **ret_error)
{
        unsigned n = 0;

        *failure = 0;
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *error = NULL;
                Removal removal = { .dry_run = request_flag(request, "dryRun") };
                if (json_object_get(removed, *name))
                        continue;
                int r = while_idle(*name, hide_counted, store_fd, &removal, &error);
                if (r >= 0 && removal.hidden)
                        r = store_destroy_image(store_fd, removal.hidden);
                free(removal.hidden);
                if (r >= 0) {
                        json_object_set_new(removed, *name, json_integer((json_int_t) removal.bytes));
                        n++;
                } else if (r != -EBUSY && *failure == 0) {
                        free(*ret_error);
                        *failure = set_failure(ret_error, r, "Image '%s': %s", *name, error ?: strerror(-r));
                }
        }
        return n;
}

/* Those in use stay. The first that could not be removed is told, when the others have been. */
int work_image_clean(const Request *request, char **ret_error)
{
        json_t *keep = json_object_get(request->json, "keep"), *removed = json_object(), *value;
        _cleanup_strv_ Strv names = NULL, wanted = NULL;
        int r, failure = 0;
        size_t i;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        r = store_fd < 0 ? store_fd : store_list(store_fd, request_flag(request, "all"), &names);
        STRV_FOREACH (name, names) {
                bool kept = false;
                json_array_foreach (keep, i, value)
                        kept = kept || streq(json_string_value(value), *name);
                if (r >= 0 && !kept)
                        r = strv_append(&wanted, *name);
        }
        /* What others were made over can go when those have gone. */
        while (r >= 0 && clean_once(request, store_fd, wanted, removed, &failure, ret_error) > 0)
                if (request_flag(request, "dryRun"))
                        break;
        if (json_object_set_new(request->answer, "removed", removed) < 0)
                r = -ENOMEM;
        return r < 0 ? r : failure;
}

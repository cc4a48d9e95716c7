/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Archives: images from them and as them, and trees of machines. */

#include <sys/stat.h>

#include "basic/random.h"
#include "basic/rootfs.h"
#include "basic/tree.h"
#include "image/archive.h"
#include "image/store.h"
#include "sandbox/leader.h"
#include "worker/worker.h"

/* Where trees of machines are on their way. */
#define STAGING "/var/tmp"

typedef struct Progress {
        uint64_t total; /* 0: nobody knows */
} Progress;

static int on_progress(void *userdata, uint64_t bytes)
{
        const Progress *p = userdata;

        if (is_cancelled())
                return -ECANCELED;
        if (p->total > 0)
                tell_progress(MIN((double) bytes / p->total, 1.0));
        return 0;
}

static uint64_t file_size(int fd)
{
        struct stat st;

        return fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

/* --- images ------------------------------------------------------------------------------------------------------- */

/* The name of the only thing in a directory, where that is a directory that has a system in it. */
static int find_single(int dir_fd, char **ret)
{
        static const char *const names[] = { "bin",  "boot", "dev",  "etc", "home", "lib", "lib64", "opt",
                                             "root", "run",  "sbin", "srv", "tmp",  "usr", "var" };
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_free_ char *only = NULL;
        int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                if (only)
                        return 0;
                only = strdup(e->d_name);
                OOM_CHECK(only);
        }
        /* An image may well consist of one of these. */
        for (size_t i = 0; only && i < ELEMENTSOF(names); i++)
                if (streq(only, names[i]))
                        return 0;
        _cleanup_close_ int only_fd = only ? openat(dir_fd, only,
                                                    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                           : -EBADF;
        if (only_fd < 0 || (!rootfs_exists(only_fd, "usr") && !rootfs_exists(only_fd, "etc")))
                return 0;
        *ret = TAKE_PTR(only);
        return 1;
}

/* An archive often has its tree in a directory of its own. */
static int flatten(int image_fd)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_free_ char *name = NULL,
                            *hidden = strf(TREE_HIDDEN "%016llx", (unsigned long long) random_u64());
        struct stat st;
        int r = find_single(image_fd, &name), fd;

        if (r <= 0)
                return r;
        OOM_CHECK(hidden);
        if (renameat2(image_fd, name, image_fd, hidden, RENAME_NOREPLACE) < 0)
                return -errno;
        fd = openat(image_fd, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        if (fstat(fd, &st) < 0)
                return -errno;
        for (struct dirent *e; (e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") &&
                    renameat2(fd, e->d_name, image_fd, e->d_name, RENAME_NOREPLACE) < 0)
                        return -errno;
        const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, st.st_mtim };
        if (fchown(image_fd, st.st_uid, st.st_gid) < 0 || fchmod(image_fd, st.st_mode & 07777) < 0 ||
            unlinkat(image_fd, hidden, AT_REMOVEDIR) < 0 || futimens(image_fd, times) < 0)
                return -errno;
        return 0;
}

typedef struct Commit {
        const char *hidden;
        bool replace;
} Commit;

static int commit(int store_fd, const char *name, void *userdata)
{
        const Commit *c = userdata;

        return store_commit(store_fd, c->hidden, name, c->replace);
}

typedef int (*Fill)(const Request *request, int image_fd, char **ret_error);

static int fill_and_commit(const Request *request, int store_fd, const char *hidden, Fill fill,
                           char **ret_error)
{
        const char *name = request_text(request, "name");
        Commit c = { hidden, request_flag(request, "replace") };
        int r;

        _cleanup_close_ int image_fd = openat(store_fd, hidden,
                                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (image_fd < 0)
                return -errno;
        r = fill(request, image_fd, ret_error);
        if (r >= 0 && is_cancelled())
                r = -ECANCELED;
        /* Where nobody can be kept from writing, there is no such image. */
        if (r >= 0 && request_flag(request, "readOnly"))
                r = store_set_read_only(store_fd, hidden, true);
        if (r >= 0 && request_flag(request, "readOnly"))
                r = store_set_read_only(store_fd, hidden, false);
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The file system of the store has no read-only images.");
        /* What is not on disk may be gone after a power cut, and its name be there. */
        if (r >= 0)
                r = RET_NERRNO(syncfs(store_fd));
        /* Whatever has the name must not be what a machine runs from. */
        if (r >= 0)
                r = store_commit(store_fd, hidden, name, false);
        if (r == -EEXIST && c.replace) {
                r = while_idle(name, commit, store_fd, &c, ret_error);
                if (r == -ENOTDIR)
                        return set_failure(ret_error, r, "'%s' is no directory, and is not replaced.", name);
        }
        if (r == -EEXIST)
                return set_failure(ret_error, r, "There is something called '%s' already.", name);
        if (r >= 0 && request_flag(request, "readOnly"))
                r = store_set_read_only(store_fd, name, true);
        return r;
}

static int make_image(const Request *request, Fill fill, char **ret_error)
{
        const char *name = request_text(request, "name");
        _cleanup_free_ char *hidden = NULL;
        int r;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        if (!request_flag(request, "replace") && faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return set_failure(ret_error, -EEXIST, "There is something called '%s' already.", name);
        r = store_begin(store_fd, &hidden);
        if (r >= 0) {
                r = fill_and_commit(request, store_fd, hidden, fill, ret_error);
                (void) store_destroy(store_fd, hidden); /* what was not finished, or what was replaced */
        }
        if (r == -ECANCELED)
                return set_failure(ret_error, r, "It was cancelled.");
        return r;
}

static void tell_left_out(const Request *request, const ArchiveJob *job)
{
        if (job->n_left_out > 0)
                json_object_set_new(request->answer, "leftOut", json_integer((json_int_t) job->n_left_out));
}

static int unpack(const Request *request, int dir_fd, char **ret_error)
{
        Progress progress = { file_size(request->data_fd) };
        ArchiveJob job = { .progress = on_progress, .userdata = &progress };
        int r = archive_unpack(&job, request->data_fd, dir_fd);

        tell_left_out(request, &job);
        if (r == -EBADMSG)
                return set_failure(ret_error, r, "That is no tar archive, or a damaged one: %s.",
                                   job.failed);
        if (r < 0 && job.failed[0] && r != -ECANCELED)
                return set_failure(ret_error, r, "%s", job.failed);
        return r;
}

static int fill_from_tar(const Request *request, int image_fd, char **ret_error)
{
        int r = unpack(request, image_fd, ret_error);

        return r < 0 ? r : flatten(image_fd);
}

int work_import_tar(const Request *request, char **ret_error)
{
        return make_image(request, fill_from_tar, ret_error);
}

/* Whether one directory is somewhere above another, or the same. */
static bool is_above(int fd, int below_fd)
{
        _cleanup_close_ int at_fd = fcntl(below_fd, F_DUPFD_CLOEXEC, 3);
        struct stat upper, st, last = {};

        if (fstat(fd, &upper) < 0)
                return false;
        while (at_fd >= 0 && fstat(at_fd, &st) >= 0) {
                if (st.st_dev == upper.st_dev && st.st_ino == upper.st_ino)
                        return true;
                if (st.st_dev == last.st_dev && st.st_ino == last.st_ino)
                        return false; /* the root */
                last = st;
                int parent_fd = openat(at_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                fd_close(at_fd);
                at_fd = parent_fd;
        }
        return false;
}

/* What is in the directory, each by its own, and then the directory itself. */
static int fill_from_directory(const Request *request, int image_fd, char **ret_error)
{
        TreeCopy c = { .from = { 0, UINT32_MAX }, .to = { 0, UINT32_MAX } };

        if (is_above(request->data_fd, image_fd))
                return set_failure(ret_error, -EINVAL, "The store of images is in that directory itself.");
        int r = tree_copy_children(&c, request->data_fd, image_fd);

        return r < 0 ? set_failure(ret_error, r, "'%s': %s", c.failed, strerror(-r)) : 0;
}

int work_import_directory(const Request *request, char **ret_error)
{
        return make_image(request, fill_from_directory, ret_error);
}

static int pack(const Request *request, int dir_fd, const char *prefix, char **ret_error)
{
        Progress progress = {};
        ArchiveJob job = {
                .progress = on_progress,
                .userdata = &progress,
                .clamp_sec = json_is_integer(json_object_get(request->json, "clamp"))
                                     ? (uint64_t) json_integer_value(json_object_get(request->json, "clamp"))
                                     : UINT64_MAX,
        };
        int format = archive_format_from_string(request_text(request, "format"));
        int r = format < 0 ? format : archive_pack(&job, dir_fd, prefix, format, request->data_fd);

        tell_left_out(request, &job);
        if (r < 0 && job.failed[0] && r != -ECANCELED)
                return set_failure(ret_error, r, "%s", job.failed);
        return r;
}

int work_export_tar(const Request *request, char **ret_error)
{
        const char *name = request_text(request, "name");

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        if (faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return set_failure(ret_error, -errno, "There is no image '%s'.", name);
        _cleanup_close_ int lock_fd = store_lock_image(store_fd, name, false);
        if (lock_fd == -EBUSY)
                return set_failure(ret_error, lock_fd, "Image '%s' is being changed.", name);
        _cleanup_close_ int image_fd = openat(store_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = image_fd < 0 ? set_failure(ret_error, -errno, "There is no image '%s'.", name)
                             : pack(request, image_fd, ".", ret_error);
        store_unlock_image(store_fd, name, lock_fd);
        return r;
}

/* --- trees of machines -------------------------------------------------------------------------------------------- */

/* A machine changes its tree while we look: so archives are made of a copy, and unpacked beside it. That is in STAGING, which is
 * the unit's own, and which systemd removes with it, however we end (PrivateTmp=). An archive may say of whom its root is
 * and who may enter: so the tree is in a directory of ours. */
#define STAGED STAGING "/tree"

static int make_staging(char **ret_error)
{
        int fd = mkdir(STAGED, 0755) < 0 ? -1
                                         : open(STAGED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? set_failure(ret_error, -errno, "Cannot make a directory in '" STAGING "': %s",
                                    strerror(errno))
                      : fd;
}

int work_pack(const Request *request, char **ret_error)
{
        _cleanup_free_ char *parent = NULL, *name = NULL;
        int r = path_split(request->source, &parent, &name);

        if (r == -EINVAL)
                return set_failure(ret_error, r, "'%s' has no name for its copy.", request->source);
        if (r < 0)
                return r;
        _cleanup_close_ int source_fd = open_source(request, ret_error);
        if (source_fd < 0)
                return source_fd;
        _cleanup_close_ int staging_fd = make_staging(ret_error);
        if (staging_fd < 0)
                return staging_fd;
        r = copy_tree(request, false, source_fd, staging_fd, name, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int copy_fd = openat(staging_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return copy_fd < 0 ? -errno : pack(request, copy_fd, name, ret_error);
}

int work_unpack(const Request *request, char **ret_error)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r, fd;

        _cleanup_close_ int parent_fd = rootfs_open(request->root_fd, request->destination,
                                                    O_PATH | O_DIRECTORY);
        if (parent_fd < 0)
                return set_failure(ret_error, parent_fd, "Cannot open the directory '%s' in the machine: %s",
                                   request->destination, strerror(-parent_fd));
        _cleanup_close_ int staging_fd = make_staging(ret_error);
        if (staging_fd < 0)
                return staging_fd;
        r = unpack(request, staging_fd, ret_error);
        if (r < 0)
                return r;
        fd = fcntl(staging_fd, F_DUPFD_CLOEXEC, 3);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                _cleanup_close_ int source_fd = openat(staging_fd, e->d_name,
                                                       O_PATH | O_NOFOLLOW | O_CLOEXEC);
                r = source_fd < 0 ? -errno
                                  : copy_tree(request, true, source_fd, parent_fd, e->d_name, ret_error);
        }
        return r;
}

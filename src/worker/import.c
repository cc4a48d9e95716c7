/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images from archives, directories and disks. */

#include <sys/stat.h>

#include "basic/random.h"
#include "basic/rootfs.h"
#include "basic/tree.h"
#include "store/store.h"
#include "worker/import.h"
#include "worker/make.h"

/* Returns 1 and the name of the only entry of a directory if this entry is a directory with a root tree,
 * that is, with usr or etc. Otherwise returns 0. */
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
        /* A root tree may consist of only one of these directories. */
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

/* Many archives have the root tree in a single top directory. Moves its entries to the root of the image,
 * and gives the root its owner, mode and modification time. */
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
        fd = dir_open_at(image_fd, hidden);
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

int import_stream(const Job *job, Stream *stream, bool disk, int image_fd, char **ret_error)
{
        TransferAnswer *answer = job->answer;
        int r = stream_unpack(stream, disk, image_fd, &answer->left_out, ret_error);

        return r < 0 || disk ? r : flatten(image_fd);
}

static int fill_from_tar(const Job *job, int image_fd, char **ret_error)
{
        Stream stream = stream_of_job(job);

        return import_stream(job, &stream, false, image_fd, ret_error);
}

int work_import_tar(const Job *job, char **ret_error)
{
        return make_image(job, IMAGE_DIRECTORY, fill_from_tar, ret_error);
}

static int fill_from_disk(const Job *job, int image_fd, char **ret_error)
{
        Stream stream = stream_of_job(job);

        return import_stream(job, &stream, true, image_fd, ret_error);
}

int work_import_raw(const Job *job, char **ret_error)
{
        return make_image(job, IMAGE_RAW, fill_from_disk, ret_error);
}

/* Whether the directory fd is the directory below_fd, or one of its ancestors. */
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
                        return false; /* the root directory of the host */
                last = st;
                int parent_fd = openat(at_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                fd_close(at_fd);
                at_fd = parent_fd;
        }
        return false;
}

static int fill_from_directory(const Job *job, int image_fd, char **ret_error)
{
        TreeCopy c = TREE_COPY_ALL;

        if (is_above(job->data_fd, image_fd))
                return set_failure(ret_error, -EINVAL, "The directory contains the store of images.");
        int r = tree_copy_children(&c, job->data_fd, image_fd);

        return r < 0 ? set_failure(ret_error, r, "'%s': %s", c.failed, strerror(-r)) : 0;
}

int work_import_directory(const Job *job, char **ret_error)
{
        return make_image(job, IMAGE_DIRECTORY, fill_from_directory, ret_error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Archives: reading and writing them, export of images, and trees of machines. */

#include <sys/stat.h>

#include "archive/archive.h"
#include "basic/rootfs.h"
#include "basic/tree.h"
#include "fetch/download.h"
#include "state/leader.h"
#include "store/store.h"
#include "worker/copy.h"
#include "worker/idle.h"
#include "worker/stream.h"
#include "worker/transfer.h"

static int on_progress(void *userdata, uint64_t bytes)
{
        const Stream *s = userdata;

        if (is_cancelled())
                return -ECANCELED;
        uint64_t size = s->download ? download_size(s->download) : s->size;
        if (size > 0)
                tell_progress(bytes, size);
        return 0;
}

static void on_seen(void *userdata, const void *data, size_t n)
{
        const Stream *s = userdata;

        s->seen(s->userdata, data, n);
}

static uint64_t file_size(int fd)
{
        struct stat st;

        return fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

static int explain(const ArchiveJob *archive, int r, const char *what, char **ret_error)
{
        if (r == -EBADMSG)
                return set_failure(ret_error, r, "The input is no %s, or is damaged: %s.", what,
                                   archive->failed);
        if (r < 0 && archive->failed[0] && r != -ECANCELED)
                return set_failure(ret_error, r, "%s", archive->failed);
        return r;
}

Stream stream_of_job(const Job *job)
{
        return (Stream){ .fd = job->data_fd, .size = file_size(job->data_fd) };
}

int stream_unpack(Stream *stream, bool disk, int fd, uint64_t *ret_left_out, char **ret_error)
{
        ArchiveJob archive = { .progress = on_progress,
                               .seen = stream->seen ? on_seen : NULL,
                               .userdata = stream };
        int r = disk ? archive_unpack_file(&archive, stream->fd, fd)
                     : archive_unpack(&archive, stream->fd, fd);

        *ret_left_out = archive.n_left_out;
        return explain(&archive, r, disk ? "disk image" : "tar archive", ret_error);
}

/* `prefix` is NULL for a disk. */
static int pack(int fd, const char *prefix, const TransferRequest *how, int out_fd, char **ret_error)
{
        Stream stream = { .size = prefix ? 0 : file_size(fd) };
        ArchiveJob archive = {
                .progress = on_progress,
                .userdata = &stream,
                .clamp_sec = how->clamp > 0 ? (uint64_t) how->clamp - 1 : UINT64_MAX,
        };
        int format = archive_format_from_string(how->format ?: "uncompressed");
        int r = format < 0 ? format
                : prefix   ? archive_pack(&archive, fd, prefix, format, out_fd)
                           : archive_pack_file(&archive, fd, format, out_fd);

        return explain(&archive, r, "tree", ret_error);
}

static int export(const Job *job, bool disk, char **ret_error)
{
        const TransferRequest *request = job->request;
        const char *name = request->name;
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        ImageType type;

        _cleanup_close_ int store_fd = store_open(job->scope->store);
        if (store_fd < 0)
                return store_fd;
        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (image_fd < 0)
                return set_failure(ret_error, image_fd, "There is no image '%s'.", name);
        if (disk != (type == IMAGE_RAW))
                return set_failure(ret_error, -EOPNOTSUPP, "Image '%s' is a %s: export it as %s.", name,
                                   type == IMAGE_RAW ? "disk" : "directory",
                                   type == IMAGE_RAW ? "a disk image" : "a tar archive");
        int r = image_check_inner_mounts(store_fd, name, ret_error);
        if (r < 0)
                return r;
        if (store_lock_image(store_fd, name, false, &lock) == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is being changed.", name);
        if (!disk) {
                _cleanup_close_ int tree_fd = store_open_tree(store_fd, name);
                return tree_fd < 0 ? tree_fd : pack(tree_fd, ".", request, job->data_fd, ret_error);
        }
        _cleanup_close_ int fd = fd_reopen(image_fd, O_RDONLY | O_NONBLOCK);
        return fd < 0 ? fd : pack(fd, NULL, request, job->data_fd, ret_error);
}

int work_export_tar(const Job *job, char **ret_error)
{
        return export(job, false, ret_error);
}

int work_export_raw(const Job *job, char **ret_error)
{
        return export(job, true, ret_error);
}

/* --- trees of machines --------------------------------------------------------------------------------- */

/* A machine may change its tree at any time. So an archive is made from a copy of the tree, and is unpacked
 * into a staging directory before its entries are copied into the machine. The staging directory is below
 * STAGING, which systemd removes with the unit (PrivateTmp=). An archive may set the owner and mode of its
 * root, so the tree is in a subdirectory of STAGING. */
#define STAGED STAGING "/tree"

static int make_staging(char **ret_error)
{
        int fd = mkdir(STAGED, 0755) < 0 ? -1
                                         : open(STAGED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? set_failure(ret_error, -errno, "Cannot make a directory in '" STAGING "': %s",
                                    strerror(errno))
                      : fd;
}

int work_pack(const Job *job, char **ret_error)
{
        const TransferRequest plain = {};
        const CopyRequest *request = job->request;
        _cleanup_free_ char *parent = NULL, *name = NULL;
        int r = path_split(request->source, &parent, &name);

        if (r == -EINVAL)
                return set_failure(ret_error, r, "'%s' has no name for its copy.", request->source);
        if (r < 0)
                return r;
        _cleanup_close_ int source_fd = open_source(job, ret_error);
        if (source_fd < 0)
                return source_fd;
        _cleanup_close_ int staging_fd = make_staging(ret_error);
        if (staging_fd < 0)
                return staging_fd;
        r = copy_tree(job, false, source_fd, staging_fd, name, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int copy_fd = openat(staging_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return copy_fd < 0 ? -errno : pack(copy_fd, name, &plain, job->data_fd, ret_error);
}

int work_unpack(const Job *job, char **ret_error)
{
        const CopyRequest *request = job->request;
        uint64_t left_out;
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r, fd;

        _cleanup_close_ int parent_fd = rootfs_open(job->root_fd, request->destination,
                                                    O_PATH | O_DIRECTORY);
        if (parent_fd < 0)
                return set_failure(ret_error, parent_fd, "Cannot open the directory '%s' in the machine: %s",
                                   request->destination, strerror(-parent_fd));
        _cleanup_close_ int staging_fd = make_staging(ret_error);
        if (staging_fd < 0)
                return staging_fd;
        Stream stream = stream_of_job(job);
        r = stream_unpack(&stream, false, staging_fd, &left_out, ret_error);
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
                                  : copy_tree(job, true, source_fd, parent_fd, e->d_name, ret_error);
        }
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Archives: what they are read from and written to, images as them, and trees of machines. */

#include <sys/stat.h>

#include "basic/rootfs.h"
#include "basic/tree.h"
#include "image/archive.h"
#include "image/download.h"
#include "image/store.h"
#include "sandbox/leader.h"
#include "worker/worker.h"

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

static int explain(const Request *request, const ArchiveJob *job, int r, const char *what, char **ret_error)
{
        if (job->n_left_out > 0)
                json_object_set_new(request->answer, "leftOut", json_integer((json_int_t) job->n_left_out));
        if (r == -EBADMSG)
                return set_failure(ret_error, r, "That is no %s, or a damaged one: %s.", what, job->failed);
        if (r < 0 && job->failed[0] && r != -ECANCELED)
                return set_failure(ret_error, r, "%s", job->failed);
        return r;
}

Stream stream_of_request(const Request *request)
{
        return (Stream){ .fd = request->data_fd, .size = file_size(request->data_fd) };
}

int stream_unpack(const Request *request, Stream *stream, bool disk, int fd, char **ret_error)
{
        ArchiveJob job = { .progress = on_progress,
                           .seen = stream->seen ? on_seen : NULL,
                           .userdata = stream };
        int r = disk ? archive_unpack_file(&job, stream->fd, fd) : archive_unpack(&job, stream->fd, fd);

        return explain(request, &job, r, disk ? "disk image" : "tar archive", ret_error);
}

/* For a disk, there is no prefix. */
static int pack(const Request *request, int fd, const char *prefix, char **ret_error)
{
        Stream stream = { .size = prefix ? 0 : file_size(fd) };
        ArchiveJob job = {
                .progress = on_progress,
                .userdata = &stream,
                .clamp_sec = json_is_integer(json_object_get(request->json, "clamp"))
                                     ? (uint64_t) json_integer_value(json_object_get(request->json, "clamp"))
                                     : UINT64_MAX,
        };
        int format = archive_format_from_string(request_text(request, "format"));
        int r = format < 0 ? format
                : prefix   ? archive_pack(&job, fd, prefix, format, request->data_fd)
                           : archive_pack_file(&job, fd, format, request->data_fd);

        return explain(request, &job, r, "tree", ret_error);
}

static int export(const Request *request, bool disk, char **ret_error)
{
        const char *name = request_text(request, "name");
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        ImageType type;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (image_fd < 0)
                return set_failure(ret_error, image_fd, "There is no image '%s'.", name);
        if (disk != (type == IMAGE_RAW))
                return set_failure(ret_error, -EOPNOTSUPP, "Image '%s' is a %s: it goes into %s.", name,
                                   type == IMAGE_RAW ? "disk" : "directory",
                                   type == IMAGE_RAW ? "a disk image" : "a tar archive");
        if (store_lock_image(store_fd, name, false, &lock) == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is being changed.", name);
        if (!disk) {
                _cleanup_close_ int tree_fd = store_open_tree(store_fd, name);
                return tree_fd < 0 ? tree_fd : pack(request, tree_fd, ".", ret_error);
        }
        _cleanup_close_ int fd = fd_reopen(image_fd, O_RDONLY | O_NONBLOCK);
        return fd < 0 ? fd : pack(request, fd, NULL, ret_error);
}

int work_export_tar(const Request *request, char **ret_error)
{
        return export(request, false, ret_error);
}

int work_export_raw(const Request *request, char **ret_error)
{
        return export(request, true, ret_error);
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
        Stream stream = stream_of_request(request);
        r = stream_unpack(request, &stream, false, staging_fd, ret_error);
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

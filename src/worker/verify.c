/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What images have now: their digest, and whether disks are what their root hashes say. */

#include <sys/stat.h>

#include "image/archive.h"
#include "image/digest.h"
#include "image/raw.h"
#include "image/store.h"
#include "worker/worker.h"

typedef struct Reading {
        Digest *digest;
        uint64_t size; /* 0 where nobody knows */
} Reading;

static void on_bytes(void *userdata, const void *data, size_t n)
{
        const Reading *reading = userdata;

        digest_add(reading->digest, data, n);
}

static int on_progress(void *userdata, uint64_t bytes)
{
        const Reading *reading = userdata;

        if (reading->size > 0)
                tell_progress(bytes, reading->size);
        return is_cancelled() ? -ECANCELED : 0;
}

/* That of what "mctl export --format=uncompressed" writes. */
static int add_digest(const Request *request, int fd, bool disk, char **ret_error)
{
        _cleanup_digest_ Digest *digest = NULL;
        char text[DIGEST_LENGTH + 1];
        struct stat st;
        int r = digest_begin(&digest);

        if (r < 0)
                return r;
        Reading reading = { .digest = digest,
                            .size = disk && fstat(fd, &st) >= 0 ? (uint64_t) st.st_size : 0 };
        ArchiveJob job = {
                .progress = on_progress, .seen = on_bytes, .userdata = &reading, .clamp_sec = UINT64_MAX
        };
        r = disk ? archive_pack_file(&job, fd, ARCHIVE_TAR, -EBADF)
                 : archive_pack(&job, fd, ".", ARCHIVE_TAR, -EBADF);
        if (r >= 0)
                r = digest_end(digest, text);
        if (r < 0)
                return job.failed[0] ? set_failure(ret_error, r, "%s", job.failed) : r;
        json_object_set_new(request->answer, "digest", json_string(text));
        return 0;
}

/* What is there is compared, whether a machine could run from it or not. */
static int check_hashes(const Request *request, int store_fd, const char *name, int disk_fd,
                        char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE, again = RAW_DISK_NONE;
        int r = raw_read_table(disk_fd, store_fd, name, NULL, &disk, ret_error);

        if (r < 0)
                return r;
        const char *root = disk.verity[PARTITION_ROOT].hash, *usr = disk.verity[PARTITION_USR].hash;
        r = root[0] || usr[0] ? raw_check_hashes(disk_fd, &disk, ret_error) : 0;
        if (r < 0 || !root[0])
                return r;
        json_object_set_new(request->answer, "rootHash", json_string(root));
        r = raw_read_table(disk_fd, store_fd, name, "signed", &again, &error);
        json_object_set_new(request->answer, "signed",
                            json_boolean(r >= 0 && streq(again.verity[PARTITION_ROOT].hash, root) &&
                                         streq(again.verity[PARTITION_USR].hash, usr)));
        return 0;
}

int work_image_verify(const Request *request, char **ret_error)
{
        const char *name = request_text(request, "name");
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        ImageType type;
        int r;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        _cleanup_close_ int image_fd = store_fd < 0 ? store_fd
                                                    : image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (image_fd < 0)
                return image_fd == -ENOENT
                               ? set_failure(ret_error, image_fd, "There is no image '%s'.", name)
                               : image_fd;
        if (store_lock_image(store_fd, name, false, &lock) == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is being changed.", name);
        _cleanup_close_ int fd = type == IMAGE_RAW ? fd_reopen(image_fd, O_RDONLY | O_NONBLOCK)
                                                   : store_open_tree(store_fd, name);
        if (fd < 0)
                return fd;
        r = type == IMAGE_RAW ? check_hashes(request, store_fd, name, fd, ret_error) : 0;
        return r < 0 ? r : add_digest(request, fd, type == IMAGE_RAW, ret_error);
}

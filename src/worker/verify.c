/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verification of images: the digest of their contents, and the dm-verity hashes of disks. */

#include <sys/stat.h>

#include "archive/archive.h"
#include "disk/raw.h"
#include "fetch/digest.h"
#include "store/store.h"
#include "worker/verify.h"

typedef struct Reading {
        Digest *digest;
        uint64_t size; /* bytes; 0 if unknown */
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

/* Computes the digest of the archive that "mctl export --format=uncompressed" writes. */
static int add_digest(VerifyAnswer *answer, int fd, bool disk, char **ret_error)
{
        _cleanup_digest_ Digest *digest = NULL;
        char text[DIGEST_LENGTH + 1];
        struct stat st;
        int r = digest_begin(&digest);

        if (r < 0)
                return r;
        Reading reading = { .digest = digest,
                            .size = disk && fstat(fd, &st) >= 0 ? (uint64_t) st.st_size : 0 };
        ArchiveJob archive = {
                .progress = on_progress, .seen = on_bytes, .userdata = &reading, .clamp_sec = UINT64_MAX
        };
        r = disk ? archive_pack_file(&archive, fd, ARCHIVE_TAR, -EBADF)
                 : archive_pack(&archive, fd, ".", ARCHIVE_TAR, -EBADF);
        if (r >= 0)
                r = digest_end(digest, text);
        if (r < 0)
                return archive.failed[0] ? set_failure(ret_error, r, "%s", archive.failed) : r;
        return free_and_strdup(&answer->digest, text);
}

/* Compares all blocks with their hashes, whether a machine could run from the disk or not. */
static int check_hashes(VerifyAnswer *answer, int store_fd, const char *name, int disk_fd, char **ret_error)
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
        r = free_and_strdup(&answer->root_hash, root);
        if (r < 0)
                return r;
        r = raw_read_table(disk_fd, store_fd, name, "signed", &again, &error);
        answer->is_signed = r >= 0 && streq(again.verity[PARTITION_ROOT].hash, root) &&
                            streq(again.verity[PARTITION_USR].hash, usr);
        return 0;
}

int work_verify(const Job *job, char **ret_error)
{
        const ImageRequest *request = job->request;
        VerifyAnswer *answer = job->answer;
        const char *name = request->name;
        _cleanup_store_lock_ StoreLock lock = { .fd = -EBADF };
        ImageType type;
        int r;

        _cleanup_close_ int store_fd = store_open(job->scope->store);
        _cleanup_close_ int image_fd = store_fd < 0 ? store_fd
                                                    : image_open_in(store_fd, name, O_NOFOLLOW, &type, NULL);
        if (image_fd < 0)
                return image_fd == -ENOENT
                               ? set_failure(ret_error, -ENOMEDIUM, "There is no image '%s'.", name)
                               : image_fd;
        if (store_lock_image(store_fd, name, false, &lock) == -EBUSY)
                return set_failure(ret_error, -EBUSY, "Image '%s' is being changed.", name);
        _cleanup_close_ int fd = type == IMAGE_RAW ? fd_reopen(image_fd, O_RDONLY | O_NONBLOCK)
                                                   : store_open_tree(store_fd, name);
        if (fd < 0)
                return fd;
        r = type == IMAGE_RAW ? check_hashes(answer, store_fd, name, fd, ret_error) : 0;
        return r < 0 ? r : add_digest(answer, fd, type == IMAGE_RAW, ret_error);
}

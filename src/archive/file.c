/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "archive/sink.h"
#include "archive/source.h"

/* Aligned ranges of this size that have only zeros are not written. */
#define HOLE_STEP 4096U

typedef struct Disk {
        ArchiveJob *job;
        int out_fd;
        uint64_t size, written;
} Disk;

static int fail(ArchiveJob *job, int r, const char *why)
{
        if (!job->failed[0])
                snprintf(job->failed, sizeof(job->failed), "%s", why);
        return r;
}

static bool is_zero(const char *data, size_t n)
{
        return data[0] == 0 && memcmp(data, data + 1, n - 1) == 0;
}

/* Writes the data between two holes. */
static int write_run(Disk *d, const char *data, size_t n, uint64_t offset)
{
        while (n > 0) {
                ssize_t k = pwrite(d->out_fd, data, n, (off_t) offset);
                if (k < 0 && errno != EINTR)
                        return -errno;
                if (k < 0)
                        continue;
                data += k;
                n -= k;
                offset += k;
                d->written += k;
        }
        return 0;
}

static int write_block(Disk *d, const char *data, size_t n, uint64_t offset)
{
        size_t begin = 0;
        int r = 0;

        for (size_t at = 0; at < n && r >= 0;) {
                size_t step = MIN(n - at, HOLE_STEP - (offset + at) % HOLE_STEP);
                if (is_zero(data + at, step)) {
                        r = write_run(d, data + begin, at - begin, offset + begin);
                        begin = at + step;
                }
                at += step;
        }
        return r < 0 ? r : write_run(d, data + begin, n - begin, offset + begin);
}

static int copy_in(Disk *d, struct archive *archive, Source *source)
{
        const void *data;
        la_int64_t offset;
        size_t n;
        int r;

        while ((r = archive_read_data_block(archive, &data, &n, &offset)) == ARCHIVE_OK) {
                uint64_t bytes = source->n_read;
                if (n == 0)
                        continue;
                if (d->size == 0 && n >= 4 && memcmp(data, "QFI\xfb", 4) == 0)
                        return fail(d->job, -EBADMSG,
                                    "the disk has the format qcow2; convert it with qemu-img(1)");
                r = write_block(d, data, n, offset);
                if (r < 0)
                        return fail(d->job, r, strerror(-r));
                d->size = MAX(d->size, (uint64_t) offset + n);
                if (d->written > UNPACK_FREE && d->written / UNPACK_RATIO_MAX > bytes)
                        return fail(d->job, -EFBIG,
                                    "the disk is more than 200 times as large as the compressed file");
                r = d->job->progress ? d->job->progress(d->job->userdata, bytes) : 0;
                if (r < 0)
                        return r;
        }
        return r == ARCHIVE_EOF ? 0 : -EBADMSG;
}

int archive_unpack_file(ArchiveJob *job, int in_fd, int out_fd)
{
        Source source = { .job = job, .fd = in_fd };
        Disk d = { .job = job, .out_fd = out_fd };
        struct archive *archive = archive_read_new();
        struct archive_entry *entry;
        int r = -EBADMSG;

        job->failed[0] = 0;
        OOM_CHECK(archive);
        if (source_add_filters(archive) && archive_read_support_format_raw(archive) == ARCHIVE_OK &&
            archive_read_support_format_empty(archive) == ARCHIVE_OK &&
            source_open(&source, archive) == ARCHIVE_OK &&
            archive_read_next_header(archive, &entry) == ARCHIVE_OK)
                r = copy_in(&d, archive, &source);
        if ((r >= 0 || r == -EBADMSG) && source_drain(&source) < 0)
                r = -EBADMSG;
        if (r == -EBADMSG)
                (void) fail(job, r, archive_error_string(archive) ?: "the file is empty");
        if (source.error < 0)
                r = source.error;
        archive_read_free(archive);
        source_close(&source);
        if (r >= 0 && d.size == 0)
                return fail(job, -EBADMSG, "the file is empty");
        if (r >= 0 && ftruncate(out_fd, (off_t) d.size) < 0)
                r = -errno;
        return r;
}

/* --- the other way ------------------------------------------------------------------------------------- */

/* Holes of the input are read as zeros. If the output is an uncompressed regular file, write_block() makes
 * holes of zeros. */
static int copy_out(Disk *d, int in_fd, struct archive *archive)
{
        _cleanup_free_ char *block = malloc(SOURCE_BLOCK);
        uint64_t offset = 0;
        int r = 0;

        OOM_CHECK(block);
        while (r >= 0 && offset < d->size) {
                ssize_t n = pread(in_fd, block, SOURCE_BLOCK, (off_t) offset);
                if (n < 0 && errno == EINTR)
                        n = 0;
                else if (n <= 0)
                        return n < 0 ? -errno
                                     : fail(d->job, -EIO, "the disk became smaller while it was read");
                if (archive) {
                        if (n > 0 && archive_write_data(archive, block, n) < n)
                                return fail(d->job, -EIO, archive_error_string(archive) ?: strerror(EIO));
                } else
                        r = write_block(d, block, n, offset);
                offset += n;
                if (r >= 0)
                        r = d->job->progress ? d->job->progress(d->job->userdata, offset) : 0;
        }
        return r;
}

static int pack(Disk *d, int in_fd, ArchiveFormat format)
{
        struct archive *archive = archive_write_new();
        struct archive_entry *entry = archive_entry_new();
        Sink sink = { .job = d->job, .fd = d->out_fd };
        int r = -EIO;

        if (!archive || !entry)
                r = -ENOMEM;
        else if (archive_write_set_format_raw(archive) == ARCHIVE_OK && sink_add_filter(archive, format) &&
                 archive_write_set_bytes_in_last_block(archive, 1) == ARCHIVE_OK &&
                 archive_write_open(archive, &sink, NULL, sink_write_block, NULL) == ARCHIVE_OK) {
                archive_entry_set_filetype(entry, AE_IFREG);
                r = archive_write_header(archive, entry) < ARCHIVE_WARN ? -EIO : copy_out(d, in_fd, archive);
                if (r >= 0 && archive_write_close(archive) != ARCHIVE_OK)
                        r = -EIO;
        }
        if (r == -EIO && archive)
                (void) fail(d->job, r, archive_error_string(archive) ?: strerror(EIO));
        /* An unfinished file must not look complete. */
        if (r < 0 && archive)
                (void) archive_write_fail(archive);
        archive_entry_free(entry);
        archive_write_free(archive);
        return r;
}

int archive_pack_file(ArchiveJob *job, int in_fd, ArchiveFormat format, int out_fd)
{
        Disk d = { .job = job, .out_fd = out_fd };
        struct stat in, out;
        int r;

        job->failed[0] = 0;
        if (fstat(in_fd, &in) < 0 || (out_fd >= 0 && fstat(out_fd, &out) < 0))
                return -errno;
        d.size = in.st_size;
        if (out_fd < 0 || format != ARCHIVE_TAR || !S_ISREG(out.st_mode))
                return pack(&d, in_fd, format);
        r = copy_out(&d, in_fd, NULL);
        return r < 0 ? r : RET_NERRNO(ftruncate(out_fd, (off_t) d.size));
}

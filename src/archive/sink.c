/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "archive/sink.h"

/* After EINTR, job->progress() tells whether the job is to end. */
la_ssize_t sink_write_block(struct archive *archive, void *userdata, const void *data, size_t size)
{
        Sink *s = userdata;

        for (;;) {
                ssize_t n = s->fd < 0 ? (ssize_t) size : write(s->fd, data, size);
                if (n >= 0 && s->job->seen)
                        s->job->seen(s->job->userdata, data, (size_t) n);
                if (n >= 0)
                        return n;
                int r = errno != EINTR     ? -errno
                        : s->job->progress ? s->job->progress(s->job->userdata, s->n_bytes)
                                           : 0;
                if (r < 0) {
                        archive_set_error(archive, -r, "Not written");
                        return -1;
                }
        }
}

bool sink_add_filter(struct archive *archive, ArchiveFormat format)
{
        static const int filters[_ARCHIVE_FORMAT_MAX] = {
                [ARCHIVE_TAR] = ARCHIVE_FILTER_NONE,        [ARCHIVE_TAR_GZIP] = ARCHIVE_FILTER_GZIP,
                [ARCHIVE_TAR_XZ] = ARCHIVE_FILTER_XZ,       [ARCHIVE_TAR_ZSTD] = ARCHIVE_FILTER_ZSTD,
                [ARCHIVE_TAR_BZIP2] = ARCHIVE_FILTER_BZIP2,
        };

        if (archive_write_add_filter(archive, filters[format]) < ARCHIVE_WARN)
                return false;
        /* Without a time in the gzip header, equal input gives equal bytes. */
        if (format == ARCHIVE_TAR_GZIP)
                (void) archive_write_set_filter_option(archive, "gzip", "timestamp", NULL);
        return true;
}

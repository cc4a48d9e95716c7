/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <archive.h>

#include "archive/archive.h"

/* The output of an archive: a descriptor, which may block. A signal that ends the job interrupts a write. */
typedef struct Sink {
        ArchiveJob *job;
        int fd;
        uint64_t n_bytes; /* passed to job->progress() */
} Sink;

/* A callback for archive_write_open(), with the sink as `userdata`. */
la_ssize_t sink_write_block(struct archive *archive, void *userdata, const void *data, size_t size);

/* Sets the compression. Returns false if libarchive does not support it, and leaves the reason in
 * `archive`. */
bool sink_add_filter(struct archive *archive, ArchiveFormat format);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <archive.h>

#include "image/archive.h"

/* What an archive is written to: a descriptor that may block, which ends when the job is ended. */
typedef struct Sink {
        ArchiveJob *job;
        int fd;
        uint64_t n_bytes; /* for the job to hear of */
} Sink;

/* For archive_write_open(), with the sink. */
la_ssize_t sink_write_block(struct archive *archive, void *userdata, const void *data, size_t size);

/* Compresses what is written. False where the library does not, and says why. */
bool sink_add_filter(struct archive *archive, ArchiveFormat format);

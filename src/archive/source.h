/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <archive.h>
#include <pthread.h>
#include <stdatomic.h>

#include "archive/archive.h"

/* The input of an archive: a descriptor, which may block. A signal that ends the job interrupts a read. For
 * gzip, a thread inflates with ISA-L while the main thread makes files. */

#define SOURCE_BLOCK (256U * 1024U)

typedef struct Source {
        ArchiveJob *job;
        int fd;
        atomic_uint_fast64_t n_read; /* bytes of the archive, before decompression */
        bool begun;
        bool inflating;
        pthread_t thread;
        /* of the thread, which can be cancelled at any time; source_close() frees this and the buffers */
        void *state;
        uint8_t *in, *out;   /* SOURCE_BLOCK bytes each */
        int pipe_fds[2];     /* the inflated bytes */
        atomic_int failed;   /* negative: why the thread ended */
        int error;           /* negative: why reading failed, since libarchive may report another reason */
        size_t n_first;      /* size of `first`, the block with which the thread begins */
        char *block, *first; /* SOURCE_BLOCK bytes each */
} Source;

/* Accepts archives with any compression of ArchiveFormat. Returns false if libarchive does not support one,
 * and leaves the reason in `archive`. */
bool source_add_filters(struct archive *archive);

/* Opens an archive on a source, of which only `job` and `fd` are set. Returns a code of libarchive. */
int source_open(Source *source, struct archive *archive);

/* Reads the rest of the input behind the archive, so that job->seen() gets every byte. */
int source_drain(Source *source);

/* Cancels the thread, and frees the buffers. */
void source_close(Source *source);

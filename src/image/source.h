/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <archive.h>
#include <pthread.h>
#include <stdatomic.h>

#include "image/archive.h"

/* What an archive is read from: a descriptor that may block, which ends when the job is ended, and for gzip, a thread that
 * inflates with ISA-L while the other one makes files. */

#define SOURCE_BLOCK (256U * 1024U)

typedef struct Source {
        ArchiveJob *job;
        int fd;
        atomic_uint_fast64_t n_read; /* of the archive as it is */
        bool begun;
        bool inflating;
        pthread_t thread;
        void *state; /* of the thread, which may be ended at any time: so these are not its own to free */
        uint8_t *in, *out; /* of SOURCE_BLOCK bytes */
        int pipe_fds[2];   /* what was inflated */
        atomic_int failed; /* negative: why the thread ended */
        int error;      /* negative: why nothing can be read, which the library may put in its own words */
        size_t n_first; /* the first block, which the thread begins with */
        char *block, *first; /* of SOURCE_BLOCK bytes */
} Source;

/* Lets an archive be compressed by what we know. False where the library does not, and says why. */
bool source_add_filters(struct archive *archive);

/* Opens an archive on a source that has a job and a descriptor and is empty else. Returns what the library does. */
int source_open(Source *source, struct archive *archive);

/* Reads what follows the archive, or where it was given up, for who wants to see every byte. */
int source_drain(Source *source);

/* Ends the thread. */
void source_close(Source *source);

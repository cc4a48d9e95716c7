/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* The source of an archive. `size` is in bytes, or 0 if it is unknown, or if `download` knows it. `download`
 * may be NULL. `seen`, unless NULL, gets all bytes of the archive. */
typedef struct Stream {
        int fd;
        uint64_t size;
        const struct Download *download;
        void (*seen)(void *userdata, const void *data, size_t n);
        void *userdata;
} Stream;

/* The stream that came with a job. */
Stream stream_of_job(const Job *job);

/* Unpacks a stream into the directory fd, or for a disk into the file fd. `ret_left_out` counts device nodes
 * and sockets that were left out. */
int stream_unpack(Stream *stream, bool disk, int fd, uint64_t *ret_left_out, char **ret_error);

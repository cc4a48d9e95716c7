/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/stream.h"

/* Make an image from the descriptor that came with the job: a tar archive, a disk or a directory. */
int work_import_tar(const Job *job, char **ret_error);
int work_import_raw(const Job *job, char **ret_error);
int work_import_directory(const Job *job, char **ret_error);

/* Unpacks a stream into an image. If the archive has the root tree in a single top directory, the entries of
 * this directory become the root of the image. */
int import_stream(const Job *job, Stream *stream, bool disk, int image_fd, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Measures images: their bytes on disk, the bytes that no other image shares, and which images share the
 * rest. */
int work_measure(const Job *job, char **ret_error);

/* The bytes that removing an image would free; UINT64_MAX if unknown. */
uint64_t image_exclusive_size(int store_fd, const char *name);

/* The bytes of an image on disk; 0 if unknown. */
uint64_t image_size(int store_fd, const char *name);

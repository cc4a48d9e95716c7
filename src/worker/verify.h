/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Computes the digest of an image. For a disk with hashes, also compares every block with its hash. */
int work_verify(const Job *job, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Copy the tree `source` to `destination`: from the host to a machine, or from a machine to the host. */
int work_copy_to(const Job *job, char **ret_error);
int work_copy_from(const Job *job, char **ret_error);

/* Opens `source` of a CopyRequest in the machine, with O_PATH. On failure, ret_error gets a text. */
int open_source(const Job *job, char **ret_error);

/* Copies the tree source_fd to `name` below parent_fd: from the host into the machine of the CopyRequest if
 * `inward` is set, otherwise from the machine to the host. */
int copy_tree(const Job *job, bool inward, int source_fd, int parent_fd, const char *name, char **ret_error);

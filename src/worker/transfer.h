/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Write an image to the descriptor of the job: as a tar archive, or as a disk. */
int work_export_tar(const Job *job, char **ret_error);
int work_export_raw(const Job *job, char **ret_error);

/* work_pack() writes a tree of a machine as a tar archive. work_unpack() unpacks a tar archive into a
 * directory of a machine. */
int work_pack(const Job *job, char **ret_error);
int work_unpack(const Job *job, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Make an image from a URL: from a tar archive, or from a disk. */
int work_pull_tar(const Job *job, char **ret_error);
int work_pull_raw(const Job *job, char **ret_error);

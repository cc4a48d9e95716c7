/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Lists what has changed in an image since a snapshot. */
int work_diff(const Job *job, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* work_bind() mounts `source` of the host on `destination` in a machine. work_unbind() unmounts
 * `destination`. */
int work_bind(const Job *job, char **ret_error);
int work_unbind(const Job *job, char **ret_error);

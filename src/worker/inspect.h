/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Reads the host name, machine ID, machine-info(5) and os-release(5) of an image. */
int work_inspect(const Job *job, char **ret_error);

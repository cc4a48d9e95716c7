/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Gives an image the contents of one of its snapshots. -EBUSY if a machine runs from the image. */
int work_roll_back(const Job *job, char **ret_error);

/* Gives an image the contents of another image, or of one of its snapshots. A machine that runs from the
 * image gets the new contents at its next start. */
int work_switch(const Job *job, char **ret_error);

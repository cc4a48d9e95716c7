/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* work_mount() mounts an image on a directory of the host. work_unmount() unmounts all mounts of an image,
 * or the mount of an image on a path. */
int work_mount(const Job *job, char **ret_error);
int work_unmount(const Job *job, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/image.h"
#include "worker/job.h"

/* Fills a new image: image_fd is an empty directory, or an empty file for a disk. */
typedef int (*Fill)(const Job *job, int image_fd, char **ret_error);

/* Makes the image of a TransferRequest, which `fill` fills. The image gets its name only when it is complete
 * and on disk. With request->replace, it replaces an existing image of this name. With request->read_only,
 * it is read-only. */
int make_image(const Job *job, ImageType type, Fill fill, char **ret_error);

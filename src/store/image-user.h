/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "basic/str.h"

/* Which machine runs from an image, by the records of machines. The caller holds run_dir_lock(), under which
 * a start writes its record. Each function returns 1 and the name of a machine, which the caller frees, or
 * 0. */

/* Compares the inode of the image, so the path in the record does not matter. -ENOENT if there is no such
 * image. */
int image_find_user(int run_fd, int store_fd, const char *name, char **ret);

/* Finds a machine that runs from one of these layers or subvolumes, even if no image has them any more. */
int image_find_tree_user(int run_fd, const Strv trees, char **ret);

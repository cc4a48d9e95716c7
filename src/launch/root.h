/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launch/tree.h"
#include "sandbox/plan.h"

/* Makes the root of a machine from its image, ID-mapped unless userns_fd is negative. The root is the image
 * itself or, with Volatile=, an overlay on the image; changes_fd from changes_open() is the directory of
 * changes on disk. The root is attached in the mount namespace of the launcher. A failure has a text, as in
 * basic/failure.h. */
int root_make(const Plan *plan, const Tree *tree, int userns_fd, int changes_fd, uid_t base,
              int *ret_root_fd, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launch/tree.h"
#include "sandbox/plan.h"

/* Makes the root of a machine from its image, with owners mapped where userns_fd is not negative: the image
 * itself, or with Volatile= something over it, with changes_fd from changes_open() where they go to disk. It
 * is attached in our mount namespace, out of the way. Failures have a
 * text, as basic/failure.h has them. */
int root_make(const Plan *plan, const Tree *tree, int userns_fd, int changes_fd, uid_t base,
              int *ret_root_fd, char **ret_error);

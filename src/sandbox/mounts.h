/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* Carries out steps of a plan in the tree at root_fd, which must be attached in the caller's mount namespace. `base`
 * is the root of the container as the caller's user namespace numbers it. On failure, ret_step is the step. */
int mounts_carry_out(const Step *steps, size_t n, int root_fd, uid_t base, const Step **ret_step);

/* A copy of the tree at `path`, which follows links, with all that is mounted below it; attached nowhere. Returns a
 * descriptor. */
int mounts_clone_path(int dir_fd, const char *path);

/* Changes attributes, propagation (MS_…, 0 for none) and, with userns_fd not negative, the id mapping of the tree
 * behind a descriptor. */
int mounts_set_attr(int tree_fd, unsigned set, unsigned propagation, int userns_fd);

/* Puts a detached tree on top of what target_fd points to. */
int mounts_attach(int tree_fd, int target_fd);

/* The name of the file system behind a descriptor, as well as statfs(2) can tell; for errors. */
const char *mounts_fs_name(int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/str.h"

/* Trees of mounts behind descriptors (open_tree(2), mount_setattr(2), move_mount(2)). A tree is made
 * detached, and attached in the end. Each function returns a negative errno; functions that make a tree
 * return its descriptor. */

/* Makes a new, detached file system of this type. Options are "key=value" or flags, separated by commas as
 * for mount(8), or NULL. Attributes are MOUNT_ATTR_…. */
int mount_make_fs(const char *type, const char *options, unsigned attr);

/* Makes an empty, detached tmpfs. `owner` is the user and the group that own it. */
int mount_make_tmpfs(mode_t mode, uid_t owner, const char *options, unsigned attr);

/* Makes a detached copy of the tree at `path`, with all mounts below it. Links in the path are followed. */
int mount_clone(int dir_fd, const char *path);

/* Changes the tree behind a descriptor: attributes, propagation (MS_…, or 0 for no change) and, unless
 * userns_fd is negative, the ID map. */
int mount_change(int tree_fd, unsigned set, unsigned propagation, int userns_fd);

/* Attaches a detached tree on the file or directory behind target_fd. */
int mount_attach(int tree_fd, int target_fd);

/* Returns the name of the file system behind a descriptor, for error messages. statfs(2) cannot tell all
 * file systems: "this file system" for the others. */
const char *mount_fs_name(int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/tree.h"

/* Limits of the size of a tree, as its file system counts them. On btrfs, the quota group of a subvolume is
 * limited. On ext4 and xfs, a project is limited (quotactl(2), FS_IOC_FSSETXATTR): a number that all files
 * of a tree have, and that new files inherit from their directory.
 *
 * `fd` is the directory, opened without O_PATH. Only quota_switch_on() enables quotas. */

/* Limits a tree to so many bytes, UINT64_MAX for no limit. -ENOTCONN if btrfs quotas are off, -EOPNOTSUPP if
 * the file system does not enforce limits of projects, -EAGAIN if quota_adopt() must come first. */
int quota_set_limit(int fd, uint64_t bytes);

/* Returns the limit in bytes. UINT64_MAX if there is none or it cannot be read. */
uint64_t quota_get_limit(int fd);

/* Gives all files of a tree a new project with this limit. Nobody else may change the tree meanwhile.
 * Symbolic links, devices, sockets and fifos cannot be given a project, and are made anew in directories
 * that have it. After a failure, copy->failed names the file. The caller holds stack_lock(), so that no two
 * trees get the same project. */
int quota_adopt(TreeCopy *copy, int fd, uint64_t bytes);

/* Gives an empty directory the project of another directory, if that has one. */
int quota_inherit(int from_fd, int fd);

/* Gives a subvolume the limit of another subvolume. */
int quota_carry(int from_fd, int fd);

/* Enables quotas on a file system of btrfs. */
int quota_switch_on(int fd);

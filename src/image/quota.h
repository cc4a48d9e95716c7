/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/tree.h"

/* How much a tree may hold, as its file system counts that: a subvolume of btrfs by its quota group, a tree on ext4 or xfs by a project
 * (quotactl(2), FS_IOC_FSSETXATTR), a number that its files have, and that whatever is made in its directories gets.
 *
 * `fd` is the directory, and no O_PATH; nothing switches quotas on but quota_switch_on(). */

/* In bytes, UINT64_MAX for none. -ENOTCONN where btrfs does not count, -EOPNOTSUPP where the file system has no projects that are limited,
 * -EAGAIN for a tree that has to be adopted. */
int quota_set_limit(int fd, uint64_t bytes);

/* UINT64_MAX for none, whatever the reason. */
uint64_t quota_get_limit(int fd);

/* Gives all files of a tree a project of its own, and that a limit; nobody else may change it meanwhile. Symbolic links, devices and their like
 * cannot be given one, and are made anew. After a failure, `copy` says what it is about. Under a lock that whoever looks for a free number
 * takes. */
int quota_adopt(TreeCopy *copy, int fd, uint64_t bytes);

/* An empty directory is to be of the project of another one, if that has one. */
int quota_inherit(int from_fd, int fd);

/* A subvolume is to have the limit of another one. */
int quota_carry(int from_fd, int fd);

/* Has btrfs count. */
int quota_switch_on(int fd);

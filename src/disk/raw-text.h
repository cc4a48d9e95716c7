/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "disk/raw.h"

/* Texts about disks and partitions. */

/* Returns the directory below the root on which a partition is mounted. */
const char *raw_role_path(PartitionRole role) _const_;

/* Returns the name of a partition for error messages. The caller frees it. */
char *raw_describe(const Partition *p);

/* Returns the size of a disk in bytes. */
int raw_size(int disk_fd, uint64_t *ret);

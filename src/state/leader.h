/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "state/record.h"

/* The leader of a running machine. All files are reached by a descriptor of the leader's /proc/PID, so a PID
 * that is reused cannot lead to another process. */

/* Opens /proc/PID of the leader. -ESRCH if the leader has ended. */
int leader_open(const Record *record);

/* Whether the leader is in a namespace ("mnt", "user", "net", …) of the host. True also if this is
 * unknown. */
bool leader_shares(int proc_fd, const char *namespace);

/* Opens the root directory of the leader for reading. */
int leader_open_root(int proc_fd);

/* Returns the ID of the machine's user and group 0 on the host, and the size of the range. -EOPNOTSUPP for a
 * map of several ranges, a map that does not begin with 0, or different maps for users and groups. */
int leader_users(int proc_fd, uid_t *ret_base, uint32_t *ret_size);

/* Convert a user or group ID between the machine and the host, for maps of any number of ranges. -ENOENT for
 * an ID that is not mapped. */
int leader_id_to_host(int proc_fd, bool group, uint32_t inside, uint32_t *ret);
int leader_id_from_host(int proc_fd, bool group, uint32_t outside, uint32_t *ret);

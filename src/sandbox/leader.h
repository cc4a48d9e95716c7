/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/record.h"

/* The leader of a running machine. Everything is reached by a descriptor of /proc/PID that is known to be the leader's, so
 * a number that is used again cannot lead astray. */

/* Opens /proc/PID of the leader. -ESRCH when it is gone. */
int leader_open(const Record *record);

/* Whether the leader is in a namespace ("mnt", "user", "net", …) of the host, or it cannot be told. */
bool leader_shares(int proc_fd, const char *namespace);

/* Opens the root directory as the leader sees it, for reading. */
int leader_open_root(int proc_fd);

/* Where the machine's user and group 0 are on the host, and how many follow. -EOPNOTSUPP for a map of several parts, or one
 * that does not begin with 0, or another one for groups. */
int leader_users(int proc_fd, uid_t *ret_base, uint32_t *ret_size);

/* The machine's user or group as the host numbers it, whatever parts its map has, and the other way. -ENOENT for one that has no
 * number there. */
int leader_id_to_host(int proc_fd, bool group, uint32_t inside, uint32_t *ret);
int leader_id_from_host(int proc_fd, bool group, uint32_t outside, uint32_t *ret);

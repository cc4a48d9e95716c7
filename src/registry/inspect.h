/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "sandbox/record.h"

/* What the kernel and the tree of a running machine say of it. Everything is reached by a descriptor of /proc/PID that is
 * known to be the leader's, so a number that is used again cannot lead astray. What comes out of the tree is the
 * machine's word. */

/* Opens /proc/PID of the leader. -ESRCH when it is gone. */
int inspect_open(const Record *record);

/* Whether the leader is in a namespace ("mnt", "user", "net", …) of the host, or it cannot be told. */
bool inspect_shares(int proc_fd, const char *namespace);

/* Opens the root directory as the leader sees it, for reading. */
int inspect_open_root(int proc_fd);

/* Appends the addresses in the machine's network as a(iay): the family and the bytes. -ENONET when that is the host's
 * network. */
int inspect_addresses(int proc_fd, sd_bus_message *reply);

/* Where the machine's user 0 is on the host, and how many follow. -EOPNOTSUPP for a map of several parts, or one that
 * does not begin with 0. */
int inspect_users(int proc_fd, uid_t *ret_base, uint32_t *ret_size);

/* Opens a new terminal of the machine's own, unlocked. Returns the master; the path is that of the other end as the
 * machine sees it, which the caller frees. */
int inspect_open_terminal(int proc_fd, char **ret_path);

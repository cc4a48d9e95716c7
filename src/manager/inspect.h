/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "state/leader.h"

/* Facts about a running machine from the kernel and from the tree of the machine. `proc_fd` is from
 * leader_open(). Facts from the tree are not trusted. */

/* The bytes of an AF_INET or AF_INET6 address. */
typedef struct Address {
        int family;
        uint8_t bytes[16];
} Address;

/* Lists the addresses in the network namespace of the machine. The caller frees the list. -ENONET if the
 * machine shares the network of the host */
int inspect_addresses(int proc_fd, Address **ret, size_t *ret_n);

/* Opens a new terminal in the devpts of the machine, unlocked. Returns the master. The path is that of the
 * slave as seen in the machine, and is freed by the caller. */
int inspect_open_terminal(int proc_fd, char **ret_path);

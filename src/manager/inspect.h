/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "state/leader.h"

/* What the kernel and the tree of a running machine say of it; `proc_fd` is from leader_open(). What comes
 * out of the tree is the machine's word. */

/* The bytes of an AF_INET or AF_INET6 address. */
typedef struct Address {
        int family;
        uint8_t bytes[16];
} Address;

/* The addresses in the machine's network, which the caller frees. -ENONET when that is the host's network.
 */
int inspect_addresses(int proc_fd, Address **ret, size_t *ret_n);

/* Opens a new terminal of the machine's own, unlocked. Returns the master; the path is that of the other end
 * as the machine sees it, which the caller frees. */
int inspect_open_terminal(int proc_fd, char **ret_path);

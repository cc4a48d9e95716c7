/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* Moves a network interface of the host into the network namespace of a process. The interface is
 * "HOST[:INSIDE]": the name on the host, and the name in the namespace. */
int link_move(const char *interface, pid_t pid);

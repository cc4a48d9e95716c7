/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* Moves a network interface of ours into the network namespace of a process: "HOST[:INSIDE]", the second
 * being its new name there. */
int link_move(const char *interface, pid_t pid);

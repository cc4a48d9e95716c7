/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"

/* Console=pty: the registry holds the other side of a machine's terminal, since we are gone when the machine runs. What it
 * takes is one message over CONSOLE_SOCKET: the name of the unit, with the master. systemd listens there (mctl-registryd.socket), so nobody waits for the registry. */
#define CONSOLE_SOCKET "/run/mctl/console"

/* Connects; returns the descriptor. */
int console_connect(void);

/* Hands a terminal over. */
int console_send(int socket_fd, const char *unit, int master_fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Messages of one byte with a descriptor (unix(7), SCM_RIGHTS), over connected sockets. */

/* Sends a byte and, unless it is negative, a descriptor. */
int socket_send_fd(int socket_fd, char byte, int fd);

/* Receives one, and sets ret_fd to the descriptor that came with it (O_CLOEXEC, the caller's to close) or -EBADF. 0 at
 * the end of the channel, else 1. */
int socket_receive_fd(int socket_fd, char *ret_byte, int *ret_fd);

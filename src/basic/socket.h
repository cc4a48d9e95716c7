/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/macro.h"

/* Messages with a descriptor (unix(7), SCM_RIGHTS), over connected sockets. */

/* Sends one, and unless it is negative, a descriptor with it. */
int socket_send(int socket_fd, const void *data, size_t size, int fd);

/* Receives one, what is longer being cut off, and sets ret_fd to the descriptor that came with it (O_CLOEXEC, the caller's to
 * close) or -EBADF. Returns its size, 0 at the end of the channel. */
ssize_t socket_receive(int socket_fd, void *data, size_t size, int *ret_fd);

/* Connects to a socket in the file system, or to an abstract one, "@…". Returns the descriptor. */
int socket_connect(const char *address, int type);

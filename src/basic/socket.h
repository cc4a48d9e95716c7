/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/macro.h"

/* Messages with a descriptor (unix(7), SCM_RIGHTS) over connected sockets. */

/* Sends a message, with the descriptor `fd` unless `fd` is negative. */
int socket_send(int socket_fd, const void *data, size_t size, int fd);

/* Receives a message; bytes beyond `size` are lost. Sets ret_fd to the descriptor that came with the message
 * (O_CLOEXEC, the caller closes it) or to -EBADF. Returns the number of bytes, or 0 at the end of the
 * channel. */
ssize_t socket_receive(int socket_fd, void *data, size_t size, int *ret_fd);

/* Connects to a socket in the file system, or to an abstract socket "@…". Returns the descriptor. */
int socket_connect(const char *address, int type);

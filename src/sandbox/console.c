/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox/console.h"

#include <string.h>
#include <sys/socket.h>

#include "basic/socket.h"

int console_connect(void)
{
        return socket_connect(CONSOLE_SOCKET, SOCK_SEQPACKET);
}

int console_send(int socket_fd, const char *unit, int master_fd)
{
        return socket_send(socket_fd, unit, strlen(unit), master_fd);
}

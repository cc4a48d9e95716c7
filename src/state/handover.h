/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "state/scope.h"

/* The descriptors that a launcher passes to the registry: the master side of a machine's terminal
 * (Console=pty), and the notification socket of the machine. Each is passed with one message over the socket
 * "console" in the runtime directory. systemd listens on that socket (mctl-registryd.socket), so a launcher
 * never waits for the registry.
 *
 *   UNIT                                            with the master of the terminal
 *   notify:UNIT:LEADER                              with the socket; LEADER is a process ID
 */

/* A message, parsed. */
typedef struct Handover {
        char unit[256]; /* the name of the machine's unit */
        pid_t leader;   /* 0 for a terminal */
} Handover;

/* Connects to the registry. Returns the descriptor. */
int handover_connect(const Scope *scope);

/* Sends a terminal, or the socket of notifications of the machine with that leader. */
int handover_send_console(int socket_fd, const char *unit, int master_fd);
int handover_send_notify(int socket_fd, const char *unit, pid_t leader, int notify_fd);

/* Receives one message. The caller closes ret_fd. Returns 1, or 0 at the end of the connection. -EBADMSG for
 * a malformed message. */
int handover_receive(int socket_fd, Handover *ret, int *ret_fd);

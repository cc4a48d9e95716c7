/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* The terminal that we run on, connected to one in a machine. */
typedef struct Terminal Terminal;

/* A pair of sockets: the machine's end goes where its standard input would. */
int terminal_new(Terminal **ret, int *ret_machine_fd);

/* Back to how the terminal was. */
void terminal_free(Terminal *terminal);

/* The descriptors to wait for, at most 3, and what to do when one is ready: whatever there is is passed on, without
 * waiting. terminal_process() returns 0 when the machine's end is closed and everything has been passed on. */
struct pollfd;
size_t terminal_poll(const Terminal *terminal, struct pollfd *fds);
int terminal_process(Terminal *terminal);

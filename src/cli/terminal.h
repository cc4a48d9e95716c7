/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* The terminal that we run on, connected to one in a machine. */
typedef struct Terminal Terminal;

/* Keys that end that, when they come one after the other within a second. */
#define DETACH_KEYS_MAX     8
#define DETACH_KEYS_DEFAULT "ctrl-],ctrl-],ctrl-]"

typedef struct DetachKeys {
        char keys[DETACH_KEYS_MAX];
        size_t n; /* 0: none do */
} DetachKeys;

/* "ctrl-p,ctrl-q", or "none": letters, or ctrl- and one of a-z @ [ \ ] ^ _, as Docker has it. */
int detach_keys_parse(const char *text, DetachKeys *ret);

/* A pair of sockets: the machine's end goes where its standard input would, and the master of its terminal comes back. */
int terminal_new(const DetachKeys *keys, Terminal **ret, int *ret_machine_fd);

/* To a console that the registry holds, by the socket that it gave, which is ours from now on. What is typed is passed on
 * only where we write. The first bytes were said before, and are shown as text: no terminal answers what was asked then. */
int terminal_new_console(const DetachKeys *keys, int console_fd, bool writes, uint64_t backlog,
                         Terminal **ret);

/* To a console once more. */
int terminal_reconnect(Terminal *terminal, int console_fd, bool writes);

/* Back to how the terminal was; and forgets the machine's. */
void terminal_restore(Terminal *terminal);
void terminal_free(Terminal *terminal);

/* The descriptors to wait for, at most 4, and what to do when one is ready: whatever there is is passed on, without
 * waiting. terminal_process() returns 0 when the machine's end is closed and everything has been passed on, or the keys
 * have come. */
size_t terminal_poll(const Terminal *terminal, struct pollfd *fds);
int terminal_process(Terminal *terminal);
bool terminal_detached(const Terminal *terminal);

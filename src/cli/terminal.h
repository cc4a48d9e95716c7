/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* The terminal that mctl runs on, connected with a terminal in a machine. */
typedef struct Terminal Terminal;

/* Keys that detach the terminal, if they are typed within one second. */
#define DETACH_KEYS_MAX     8
#define DETACH_KEYS_DEFAULT "ctrl-],ctrl-],ctrl-]"

typedef struct DetachKeys {
        char keys[DETACH_KEYS_MAX];
        size_t n; /* 0: no keys detach */
} DetachKeys;

/* Parses keys such as "ctrl-p,ctrl-q", or "none". As in Docker, a key is a character, or "ctrl-" and one of
 * a-z @ [ \ ] ^ _. -EINVAL. */
int detach_keys_parse(const char *text, DetachKeys *ret);

/* Makes a pair of sockets. *ret_machine_fd is for the standard input of the machine's process, and the
 * master of the machine's terminal comes back over it. The caller closes it. */
int terminal_new(const DetachKeys *keys, Terminal **ret, int *ret_machine_fd);

/* Connects with a console that the registry holds. console_fd is the socket of OpenConsole(), and is taken
 * over. Input is passed on only if `writes` is set. The first `backlog` bytes are older output, and are
 * shown as plain text: a terminal must not answer control sequences that were meant for an earlier one. */
int terminal_new_console(const DetachKeys *keys, int console_fd, bool writes, uint64_t backlog,
                         Terminal **ret);

/* Connects with the console once more, after the first connection was closed. */
int terminal_reconnect(Terminal *terminal, int console_fd, bool writes);

/* terminal_restore() restores the modes of our terminal. terminal_free() also closes the machine's
 * terminal. */
void terminal_restore(Terminal *terminal);
void terminal_free(Terminal *terminal);

/* terminal_poll() fills in the descriptors to wait for, at most 4. terminal_process() passes on all data
 * that is available, without waiting. It returns 0 when the machine has closed its side and all data was
 * passed on, or when the detach keys were typed; then terminal_detached() is true. Otherwise it returns 1,
 * or a negative errno. */
size_t terminal_poll(const Terminal *terminal, struct pollfd *fds);
int terminal_process(Terminal *terminal);
bool terminal_detached(const Terminal *terminal);

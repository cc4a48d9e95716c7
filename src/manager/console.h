/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* The other sides of the terminals of machines (Console=pty), which their launchers send us. What is said on
 * one goes to the log of its unit, to the last 64 KB that are kept for who comes later, and to whoever is
 * attached: readers, and one that writes. Descriptors and what was said are in systemd's store, so a crash
 * of ours loses nothing. A reader that is too slow misses what it did not read in time; the machine waits
 * for nobody. */

typedef struct ConsoleArguments {
        uint64_t flags;
} ConsoleArguments;

#define CONSOLE_READ_ONLY UINT64_C(1)
#define CONSOLE_ONCE      UINT64_C(2) /* what was said so far, and no more */
#define CONSOLE_NEW       UINT64_C(4) /* only what comes */

typedef struct ConsoleAnswer {
        int fd; /* a socket of messages */
        bool writes;
        uint64_t backlog; /* bytes that were said before */
} ConsoleAnswer;

extern const Operation operation_open_console;

/* To be called before the first refresh, as consoles_restore(). -ENOMEM only. */
int consoles_new(Manager *manager);
void consoles_free(Manager *manager);

/* Whether the terminal of the machine with that unit is held. */
bool consoles_has(const Manager *manager, const char *unit);

/* Takes over the master of a terminal. A machine starts, or starts again: then its console goes on. */
int consoles_take(Manager *manager, const char *unit, int *master_fd);

/* Takes over what systemd has kept for us under that name: then it returns true, and the descriptor is taken
 * over. */
bool consoles_restore(Manager *manager, const char *fd_name, int fd);

/* All has been taken over: what is not whole is dropped. */
void consoles_restored(Manager *manager);

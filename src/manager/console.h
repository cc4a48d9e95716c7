/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* The master sides of the terminals of machines (Console=pty), which launchers send. Output of a terminal
 * goes to the log of the unit, to the last 64 KB that are kept for later readers, and to the attached
 * clients: readers, and one writer. The service manager stores the descriptors and the kept output, so a
 * crash of the registry loses nothing. A reader that is too slow misses output, but no machine waits for a
 * reader. */

typedef struct ConsoleArguments {
        uint64_t flags;
} ConsoleArguments;

#define CONSOLE_READ_ONLY UINT64_C(1)
#define CONSOLE_ONCE      UINT64_C(2) /* only the output so far */
#define CONSOLE_NEW       UINT64_C(4) /* only new output */

typedef struct ConsoleAnswer {
        int fd; /* a socket of messages */
        bool writes;
        uint64_t backlog; /* number of bytes of earlier output */
} ConsoleAnswer;

extern const Operation operation_open_console;

/* Called before the first refresh, as consoles_restore() is. -ENOMEM only. */
int consoles_new(Manager *manager);
void consoles_free(Manager *manager);

/* Whether the registry holds the terminal of the machine with this unit. */
bool consoles_has(const Manager *manager, const char *unit);

/* Takes over the master of the terminal of a machine that starts. If the machine starts again, its console
 * continues. */
int consoles_take(Manager *manager, const char *unit, int *master_fd);

/* Takes over a descriptor that systemd has stored under this name. Returns false for a descriptor that is
 * not of a console: then the descriptor stays the caller's. */
bool consoles_restore(Manager *manager, const char *fd_name, int fd);

/* Called after the last consoles_restore(): drops incomplete consoles. */
void consoles_restored(Manager *manager);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Login sessions in a machine for machinectl: the registry opens a terminal of the machine, and asks systemd
 * inside, over its system bus, to start a service on the terminal. The answer is a TerminalAnswer. */

typedef struct ShellArguments {
        char *user, *path; /* "" for root, and for the shell of the user */
        Strv args, environment;
} ShellArguments;

extern const Operation operation_open_login, operation_open_shell;

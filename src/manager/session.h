/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Login sessions in a machine, as machinectl has them: a terminal of the machine is opened, and systemd
 * inside is asked over its own system bus to start something on it. The answer is a TerminalAnswer. */

typedef struct ShellArguments {
        char *user, *path; /* empty for root, and for the user's shell */
        Strv args, environment;
} ShellArguments;

extern const Operation operation_open_login, operation_open_shell;

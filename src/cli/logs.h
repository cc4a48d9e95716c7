/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "cli/context.h"

/* Shows the log of a machine. Returns an exit status, or a negative errno, logged. */
int verb_logs(Context *c, char **args);

/* Prints the last lines of the log of a machine to `f`, each behind `prefix`. Errors are logged. */
int logs_print_tail(Context *c, const char *name, const char *unit, int lines, FILE *f, const char *prefix);

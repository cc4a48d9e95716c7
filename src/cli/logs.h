/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "cli/context.h"

/* Shows the log of a machine. Returns an exit status, or a negative errno, logged. */
int verb_logs(Context *c, char **args);

#define LOGS_LAST_RUN UINT64_MAX

/* Prints the last lines of the log of a machine to `f`, each behind `prefix`. The lines are not older than
 * `since` (µs since 1970), or than the last run (LOGS_LAST_RUN). Errors are logged. */
int logs_print_tail(Context *c, const char *name, const char *unit, int lines, uint64_t since, FILE *f,
                    const char *prefix);

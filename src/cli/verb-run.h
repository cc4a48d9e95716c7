/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* The verb that runs a command in a new machine. Returns an exit status, or a negative errno, logged. */
int verb_run(Context *c, char **args);

/* Adds the variables of --env and --env-file to the spec and, with a terminal, $TERM. Errors are logged. */
int run_fill_environment(Context *c);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* Verbs that run one more program in a machine. Each returns an exit status, or a negative errno, logged. */
int verb_exec(Context *c, char **args);
int verb_shell(Context *c, char **args);
int verb_login(Context *c, char **args);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* The verb that connects our terminal with the console of a machine. Returns an exit status, or a negative
 * errno, logged. */
int verb_console(Context *c, char **args);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* The verbs that update a machine, and undo an interrupted update. Each returns an exit status, or a
 * negative errno, logged. */
int verb_update(Context *c, char **args);
int verb_update_undo(Context *c, char **args);

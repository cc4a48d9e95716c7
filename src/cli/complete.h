/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* The verb that shells call to complete words. Returns an exit status, or a negative errno, logged. */
int verb_complete(Context *c, char **args);

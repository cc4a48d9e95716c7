/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* Show the resources that machines use. Each returns an exit status, or a negative errno, logged. */
int verb_stats(Context *c, char **args);
int verb_top(Context *c, char **args);

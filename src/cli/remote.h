/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* Executes mctl with these words on the host of -H, over ssh. Returns only on failure, which is logged. */
int remote_run(Context *c, char **words, bool terminal);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* Returns the spec that a machine runs with or, if it does not run, would be started with. The caller frees
 * it. Errors are logged. */
int config_effective_spec(Context *c, const char *name, Spec **ret);

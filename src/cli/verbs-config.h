/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* Verbs about machine files and properties of machines. Each returns an exit status, or a negative errno,
 * logged. */
int verb_verify(Context *c, char **args);
int verb_cat(Context *c, char **args);
int verb_create(Context *c, char **args);
int verb_edit(Context *c, char **args);
int verb_set_property(Context *c, char **args);

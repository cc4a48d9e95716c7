/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* LinkJournal=: the journal of a machine, which its ID names, is seen beside the host's (journalctl -m).
 * With "guest" it stays in the machine, and a link leads there; with "host" it is the host's directory,
 * which the plan then binds. The "try" modes do without where the host keeps no journal on disk. Failures
 * have a text, as basic/failure.h has them. */
int journal_link(const Spec *spec, const char *root, const char *uuid, char **ret_error);

/* Takes a link away that leads into this tree. */
void journal_unlink(const char *root, const char *uuid);

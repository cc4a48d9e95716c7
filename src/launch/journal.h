/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* LinkJournal=: the journal of a machine, named by the machine ID, is visible beside the host's (journalctl
 * -m). With "guest", the journal stays in the tree of the machine, and a link leads to it. With "host", the
 * journal is a directory of the host, which the plan binds. The modes "try-…" do nothing if the host has no
 * journal on disk. A failure has a text, as in basic/failure.h. */
int journal_link(const Spec *spec, const char *root, const char *uuid, char **ret_error);

/* Removes a link that leads into this tree. */
void journal_unlink(const char *root, const char *uuid);

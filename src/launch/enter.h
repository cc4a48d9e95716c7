/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launch/launch.h"
#include "spec/enter.h"

/* Runs one more program in a running machine: in the namespaces and the unit's cgroup of the machine, with
 * its bounding set, its filter and its limits. Waits for the end of the program, and forwards signals to it.
 * Returns the exit status, or 128 and the number of the signal. A failure has a text, as in basic/failure.h;
 * a failure inside is passed to `tell`. `argv` is that of main(): if root inside is the host's root, this
 * program executes a copy of itself that cannot be changed. */
int enter_run(const Scope *scope, const EnterRequest *request, char *argv[], LaunchTell tell,
              char **ret_error);

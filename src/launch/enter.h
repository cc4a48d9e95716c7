/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launch/launch.h"
#include "spec/enter.h"

/* Runs one more program in a machine that is up: in the namespaces, the unit's cgroup and the user namespace
 * of the machine, with its bounding set, its filter and its limits. Waits for the end of the program, and
 * passes signals on to it. Returns the exit status, 128 and more for a signal; failures have a text, as
 * basic/failure.h has them. What goes wrong inside is told. `argv` is that of main(): root of the host
 * inside gets a copy of this program which cannot be changed. */
int enter_run(const Scope *scope, const EnterRequest *request, char *argv[], LaunchTell tell,
              char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* Programs in machines for who is not root, and for who does not wait: mctl-enter, as a transient unit mctl-exec-MACHINE-ID.service
 * that ends with that of the machine. */

/* Methods of operation tables: ExecInMachine(s id, s user, s directory, as environment, as command, t flags, h stdin, h stdout,
 * h stderr) → (o job), StartInMachine() without descriptors, and KillInMachine(s id, i signal). */
int exec_in_machine(Registry *registry, Machine *machine, sd_bus_message *call);
int exec_kill(Registry *registry, Machine *machine, sd_bus_message *call);
/* User and command line of such a call, for rules of polkit. */
int exec_details(sd_bus_message *call, Strv *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"
#include "registry/varlink.h"

/* io.systemd.MachineInstance: each machine of ours has a socket of its own, controlAddress, where it is powered off, rebooted,
 * paused, resumed, ended and watched. Who may is for polkit to say, as on every other way. Events have the names that those
 * of virtual machines have: STOP and RESUME (paused, and not any more), SHUTDOWN (the end). */

typedef struct Instance Instance;

/* Removes what a registry that crashed has left. */
void instances_sweep(void);

/* Opens the socket of a machine that was published, and closes it. */
int instance_open(Machine *machine);
void instance_close(Machine *machine);

/* Tells who listens. */
void instance_tell(Machine *machine, const char *event);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"
#include "registry/varlink.h"

/* Methods of varlink that are methods of org.freedesktop.machine1, or of ours, by another name: they are called there, on our own bus name,
 * once polkit has allowed it to whoever is not root. */

/* io.systemd.Machine: Terminate, Kill, Unregister, Open, BindMount, CopyFrom, CopyTo, OpenRootDirectory; and of
 * io.systemd.MachineInstance those that control it. The machine is known. */
int door_to_machine(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *machine);

/* io.systemd.Machine.Register with allocateUnit: the machine is what has been read of the call. */
int door_to_new_machine(VarlinkConnection *c, Registry *registry, const Machine *machine);

/* io.systemd.MachineImage: Clone, Remove, Update, SetPoolLimit, CleanPool */
int door_to_image(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);

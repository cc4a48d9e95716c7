/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/import1.h"
#include "api/instance.h"
#include "api/machine-varlink.h"
#include "api/machine1.h"
#include "api/resolve-hook.h"
#include "manager/machined.h"

/* Which part on org.freedesktop.machine1 is ours. There is one of it on a host: where systemd-machined is
 * installed it is its, and our machines are registered there; where it is not, or is masked, we are it: the
 * bus name, the objects, and the files below /run/systemd/machines are ours. Provider= in registry.conf
 * decides otherwise. Another instance than the system's has no part. */

typedef struct ProviderDoors {
        Manager *manager;
        sd_bus *bus;
        Machine1 machine1;
        Import1 import1;
        Instances instances;
        Observer state_files;
        ResolveHook resolve_hook;
        MachineVarlink varlink;
        Mirror mirror;
        bool has_import1; /* the name is ours */
} ProviderDoors;

/* Finds out which part is ours, and takes it. Errors have been logged. */
int provider_begin(ProviderDoors *doors, Manager *manager, sd_bus *bus);

/* Closes what the manager is reached by; and once the bus is closed, which has borrowed the tables, frees
 * these. */
void provider_end(ProviderDoors *doors);
void provider_clear(ProviderDoors *doors);

/* Gives the names back, and takes them again; nothing else changes. */
void provider_release(const ProviderDoors *doors);
void provider_hold(const ProviderDoors *doors);

/* Whether nobody would start us when we are asked for by the name of machine1: D-Bus believes it to be
 * systemd-machined's. */
bool provider_must_stay(const ProviderDoors *doors);

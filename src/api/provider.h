/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/import1.h"
#include "api/instance.h"
#include "api/machine-varlink.h"
#include "api/machine1.h"
#include "api/resolve-hook.h"
#include "manager/machined.h"

/* The role of this process for org.freedesktop.machine1. A host has one provider. If systemd-machined is
 * installed and not masked, it is the provider, and machines of mctl are registered there. Otherwise this
 * process is the provider: it has the bus name, the objects, and the files below /run/systemd/machines.
 * Provider= in registry.conf overrides this. An instance of another scope has no role. */

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
        bool has_import1; /* this process has the bus name */
} ProviderDoors;

/* Finds out the role, and takes it. Errors have been logged. */
int provider_begin(ProviderDoors *doors, Manager *manager, sd_bus *bus);

/* provider_end() closes the doors. provider_clear() frees the tables that the bus has borrowed, after the
 * bus has been closed. */
void provider_end(ProviderDoors *doors);
void provider_clear(ProviderDoors *doors);

/* Release and request the bus names; nothing else changes. */
void provider_release(const ProviderDoors *doors);
void provider_hold(const ProviderDoors *doors);

/* Whether D-Bus would not start this process for the name of machine1, since D-Bus takes the name for that
 * of systemd-machined. */
bool provider_must_stay(const ProviderDoors *doors);

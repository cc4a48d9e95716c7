/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/varlink.h"
#include "manager/manager.h"

/* io.systemd.Resolve.Hook: systemd-resolved (259 and newer) asks this hook for names of machines before it
 * asks the network. A machine with a network of its own owns its name, and all names below it. */

typedef struct ResolveHook {
        Manager *manager;
        Observer observer;
        VarlinkServer *server;
        VarlinkListeners listeners;
} ResolveHook;

/* Opens the socket of the hook. Errors have been logged. */
int resolve_hook_open(ResolveHook *hook, Manager *manager);
void resolve_hook_close(ResolveHook *hook);

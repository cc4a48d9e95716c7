/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* Removes what machines have left in the runtime directory: claims, and directories that systemd keeps while
 * a unit waits for a restart. */

typedef struct Sweeper {
        Manager *manager;
        Observer observer;
        sd_event_source *source;
        bool sweep_dirs; /* a unit was unloaded: the sweep comes after the next refresh */
} Sweeper;

/* Begins to sweep, with a first sweep for machines that ended while no registry ran. */
void sweeper_begin(Sweeper *sweeper, Manager *manager);
void sweeper_end(Sweeper *sweeper);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* What machines that are gone have left in the runtime directory: claims, and directories that systemd keeps
 * while a unit waits for a restart. */

typedef struct Sweeper {
        Manager *manager;
        Observer observer;
        sd_event_source *source;
        bool sweep_dirs; /* a unit went: the next refresh looks for what it left */
} Sweeper;

/* Sweeps from now on, and once for what went while we were not there. */
void sweeper_begin(Sweeper *sweeper, Manager *manager);
void sweeper_end(Sweeper *sweeper);

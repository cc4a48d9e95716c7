/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/bus.h"

/* org.freedesktop.import1(5): archives and downloads for clients of systemd, with an object for each
 * transfer. */

#define IMPORT1_NAME      "org.freedesktop.import1"
#define IMPORT1_PATH      "/org/freedesktop/import1"
#define IMPORT1_MANAGER   "org.freedesktop.import1.Manager"
#define IMPORT1_TRANSFER  "org.freedesktop.import1.Transfer"
#define IMPORT1_TRANSFERS "/org/freedesktop/import1/transfer"

typedef struct Import1 {
        BusDoor door;
        Observer observer;
} Import1;

/* Makes the objects. Signals are sent after import1_tell() has been called. The caller requests the bus
 * name. */
int import1_add(Import1 *import1, Manager *manager, sd_bus *bus);
void import1_tell(Import1 *import1);
void import1_clear(Import1 *import1);

/* For tests: the rows of all methods. */
extern const BusMethod import1_methods[];

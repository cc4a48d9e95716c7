/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/bus.h"

/* The interfaces org.mctl.Registry1 and org.mctl.Machine1, see org.mctl.Registry1(5). */

#define REGISTRY1_NAME      "org.mctl.Registry1"
#define REGISTRY1_PATH      "/org/mctl/Registry1"
#define REGISTRY1_INTERFACE "org.mctl.Registry1"
#define REGISTRY1_MACHINE   "org.mctl.Registry1.Machine"
#define REGISTRY1_MACHINES  "/org/mctl/Registry1/machine"

typedef struct Registry1 {
        BusDoor door;
        Observer observer;
} Registry1;

/* Makes the objects, which send signals about machines and transfers. The caller requests the bus name. */
int registry1_add(Registry1 *registry, Manager *manager, sd_bus *bus);
void registry1_clear(Registry1 *registry);

/* For tests: the rows of all methods. */
extern const BusMethod registry1_methods[];

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* io.systemd.MachineInstance: a socket for each machine of ours, over which clients of systemd control it;
 * "control/NAME" in the runtime directory. */

typedef struct Instances {
        Manager *manager;
        Observer observer;
} Instances;

/* Serves the machines that are published from now on. What is there from before is removed. */
void instances_open(Instances *instances, Manager *manager);
void instances_close(Instances *instances);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* io.systemd.MachineInstance: each machine of mctl has a socket "control/NAME" in the runtime directory,
 * over which clients of systemd control the machine. */

typedef struct Instances {
        Manager *manager;
        Observer observer;
} Instances;

/* Begins to serve machines that are published. Removes sockets of an earlier registry. */
void instances_open(Instances *instances, Manager *manager);
void instances_close(Instances *instances);

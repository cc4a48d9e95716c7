/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "systemd/machined.h"

/* Our machines as those of systemd-machined, and its machines as ours: where it is the provider of
 * org.freedesktop.machine1. From version 258 on, whoever registers a machine there is its supervisor, who is
 * sent SIGTERM where the machine is to end, or has ended. */

typedef struct Mirror {
        Manager *manager;
        Observer observer;
        MachinedEvents events;
} Mirror;

/* From now on; the mirror is the caller's, and stays where it is. */
int mirror_begin(Mirror *mirror, Manager *manager);

/* Whether a signal came from systemd-machined. Machines that it has ended are ended then. */
bool mirror_has_signalled(Mirror *mirror, pid_t sender);

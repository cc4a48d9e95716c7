/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "systemd/machined.h"

/* Registers machines of mctl with systemd-machined, and adds machines of systemd-machined to the manager, if
 * systemd-machined is the provider of org.freedesktop.machine1. In version 258 and newer, the process that
 * registers a machine is its supervisor: it gets SIGTERM when the machine is to end, or has ended. */

typedef struct Mirror {
        Manager *manager;
        Observer observer;
        MachinedEvents events;
} Mirror;

/* Begins to mirror. The structure stays the caller's, and must not move. */
int mirror_begin(Mirror *mirror, Manager *manager);

/* Whether systemd-machined has sent a signal. If so, ends the machines that systemd-machined has terminated.
 */
bool mirror_has_signalled(Mirror *mirror, pid_t sender);

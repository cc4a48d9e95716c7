/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/notification.h"

/* The service manager keeps the terminal and the socket of each machine for the unit of the machine
 * (FileDescriptorStoreMax=), so that both outlive a registry that is stopped. The next registry copies them
 * from the service manager with pidfd_getfd(2), since systemd 252 has no other way to return descriptors of
 * another unit. */
typedef struct Kept {
        Manager *manager;
        Notifications *notifications;
        Observer observer;
} Kept;

/* After each refresh, takes the descriptors that machines have and the registry lacks. */
void kept_observe(Kept *kept, Manager *manager, Notifications *notifications);

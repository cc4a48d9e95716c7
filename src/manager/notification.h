/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* The notification sockets of machines (sd_notify(3)). The registry reads the sockets, and passes on to the
 * service manager the assignments about the state of a machine, with the machine's leader as the sender. A
 * socket is read at most NOTIFY_RATE times a second, so a flood delays only the messages of this machine. */

#define NOTIFY_RATE 5U

typedef struct Notification Notification;

/* All sockets of a registry. The caller owns this structure, and keeps it until notifications_end(). */
typedef struct Notifications {
        Manager *manager;
        Observer observer;
        Notification *list;
} Notifications;

/* Begins to observe the machines; the end closes all sockets. */
void notifications_begin(Notifications *notifications, Manager *manager);
void notifications_end(Notifications *notifications);

/* Whether the registry holds the socket of the machine with this unit. */
bool notifications_has(const Notifications *notifications, const char *unit);

/* Takes over the socket of the machine with this unit and leader, and closes an earlier socket of the unit.
 */
int notifications_take(Notifications *notifications, const char *unit, pid_t leader, int *notify_fd);

/* Copies the assignments of a message that a machine may make (sd_notify(3)), one in each line, and the last
 * one of each kind. -EBADMSG for a malformed message. */
int notification_filter(char *text, size_t size, char ret[static 512]);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/notification.h"

/* Receives the descriptors of launchers (state/handover.h), and passes terminals to the consoles and sockets
 * to the notifications. */
typedef struct Handovers {
        Manager *manager;
        Notifications *notifications;
        int listen_fd; /* the listening socket, which systemd has passed */
        sd_event_source *source;
} Handovers;

/* Listens on a socket, and takes ownership of it. Does nothing with a negative descriptor. */
int handovers_begin(Handovers *handovers, Manager *manager, Notifications *notifications, int listen_fd);
void handovers_end(Handovers *handovers);

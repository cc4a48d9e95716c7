/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/handover.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/console.h"
#include "state/handover.h"

/* Connections that are accepted in a second. */
#define CONNECTIONS_MAX 1000U

/* Reads from the connection of a launcher, which may be slow, or die before its message is sent. */
static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Handovers *h = userdata;
        Handover message;
        int received_fd = -EBADF, r = handover_receive(fd, &message, &received_fd);

        (void) events;
        _cleanup_close_ int taken_fd = received_fd;
        if (r == -EAGAIN || r == -EINTR)
                return 0;
        if (r > 0)
                r = message.leader > 0
                            ? notifications_take(h->notifications, message.unit, message.leader, &taken_fd)
                            : consoles_take(h->manager, message.unit, &taken_fd);
        else if (r == 0)
                return sd_event_source_set_floating(source, false); /* ends the connection */
        if (r >= 0)
                return 0;
        log_error_errno(r, "Failed to take over what a launcher hands to the registry");
        return sd_event_source_set_floating(source, false);
}

/* Only root can reach the socket by its mode. The credentials of the peer are checked as well. */
static int on_launcher(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Handovers *h = userdata;
        struct ucred peer = { .uid = UID_INVALID };
        socklen_t size = sizeof(peer);
        sd_event_source *message_source;

        (void) source;
        (void) events;
        _cleanup_close_ int peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer_fd < 0 || getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != 0 ||
            sd_event_add_io(h->manager->event, &message_source, peer_fd, EPOLLIN, on_message, h) < 0)
                return 0;
        (void) sd_event_source_set_io_fd_own(message_source, true);
        (void) TAKE_FD(peer_fd);
        (void) sd_event_source_set_floating(message_source, true);
        sd_event_source_unref(message_source);
        return 0;
}

int handovers_begin(Handovers *h, Manager *manager, Notifications *notifications, int listen_fd)
{
        int r = 0;

        *h = (Handovers){ .manager = manager, .notifications = notifications, .listen_fd = listen_fd };
        if (listen_fd >= 0)
                r = sd_event_add_io(manager->event, &h->source, listen_fd, EPOLLIN, on_launcher, h);
        /* Without free descriptors, connections stay in the queue of the socket. */
        return r >= 0 && h->source ? sd_event_source_set_ratelimit(h->source, USEC_PER_SEC, CONNECTIONS_MAX)
                                   : r;
}

void handovers_end(Handovers *h)
{
        h->source = sd_event_source_disable_unref(h->source);
        if (h->manager)
                h->listen_fd = fd_close(h->listen_fd);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/socket.h"
#include "sandbox/notify.h"

#define BARRIER_TIMEOUT_MSEC 30000
#define SYNC_TIMEOUT_MSEC    1000

/* Sends one datagram to a socket address, with a descriptor unless `fd` is negative. */
static int send_datagram(const char *address, const char *data, size_t size, int fd)
{
        _cleanup_close_ int socket_fd = socket_connect(address, SOCK_DGRAM);

        return socket_fd < 0 ? socket_fd : socket_send(socket_fd, data, size, fd);
}

/* The manager closes the descriptor that comes with BARRIER=1 after it has read all earlier messages. */
static int wait_barrier(const char *address)
{
        _cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
        int pipe_fds[2], r;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = pipe_fds[0];
        write_fd = pipe_fds[1];

        r = send_datagram(address, "BARRIER=1", strlen("BARRIER=1"), write_fd);
        if (r < 0)
                return r;
        write_fd = fd_close(write_fd);

        struct pollfd p = { .fd = read_fd };
        do
                r = poll(&p, 1, BARRIER_TIMEOUT_MSEC);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

int notify_manager(const char *message, bool barrier)
{
        const char *address = getenv("NOTIFY_SOCKET");
        int r;

        if (!address)
                return 0;
        r = send_datagram(address, message, strlen(message), -EBADF);
        return r >= 0 && barrier ? wait_barrier(address) : r;
}

int notify_manager_fd(const char *message, int fd)
{
        const char *address = getenv("NOTIFY_SOCKET");

        return address ? send_datagram(address, message, strlen(message), fd) : 0;
}

int journal_send(const char *lines)
{
        return send_datagram("/run/systemd/journal/socket", lines, strlen(lines), -EBADF);
}

void journal_sync(void)
{
        static const char request[] =
                "{\"method\":\"io.systemd.Journal.Synchronize\"}"; /* the length includes the NUL byte */

        _cleanup_close_ int fd = socket_connect("/run/systemd/journal/io.systemd.journal", SOCK_STREAM);
        if (fd < 0 || send(fd, request, sizeof(request), MSG_NOSIGNAL) < 0)
                return;
        struct pollfd p = { .fd = fd, .events = POLLIN };
        (void) poll(&p, 1, SYNC_TIMEOUT_MSEC);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/handover.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "basic/names.h"
#include "basic/parse.h"
#include "basic/socket.h"

#define NOTIFY "notify:"

int handover_connect(const Scope *scope)
{
        _cleanup_free_ char *path = scope_run_path(scope, "console");

        OOM_CHECK(path);
        return socket_connect(path, SOCK_SEQPACKET);
}

int handover_send_console(int socket_fd, const char *unit, int master_fd)
{
        return socket_send(socket_fd, unit, strlen(unit), master_fd);
}

int handover_send_notify(int socket_fd, const char *unit, pid_t leader, int notify_fd)
{
        _cleanup_free_ char *text = strf(NOTIFY "%s:%i", unit, leader);

        OOM_CHECK(text);
        return socket_send(socket_fd, text, strlen(text), notify_fd);
}

/* Names of mctl's units have no colon. */
static int parse(char *text, Handover *ret)
{
        char *unit = startswith(text, NOTIFY) ?: text, *colon = unit == text ? NULL : strchr(unit, ':');
        uint64_t leader = 0;

        if (unit != text && (!colon || parse_u64(colon + 1, 2, INT32_MAX, &leader) < 0))
                return -EBADMSG;
        if (colon)
                *colon = 0;
        if (!unit[0] || strlen(unit) >= sizeof(ret->unit))
                return -EBADMSG;
        *ret = (Handover){ .leader = (pid_t) leader };
        memcpy(ret->unit, unit, strlen(unit) + 1);
        return 1;
}

int handover_receive(int socket_fd, Handover *ret, int *ret_fd)
{
        char text[sizeof(ret->unit) + 32];
        int fd;
        ssize_t n = socket_receive(socket_fd, text, sizeof(text) - 1, &fd);

        if (n <= 0)
                return (int) n;
        text[n] = 0;
        *ret_fd = fd;
        return strlen(text) == (size_t) n && fd >= 0 ? parse(text, ret) : -EBADMSG;
}

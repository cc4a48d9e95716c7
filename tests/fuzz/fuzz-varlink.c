/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a stranger writes to a varlink socket: messages, parts of them, anything. */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives back what it got, and more than once where more is asked for. */
static int echo(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        int r = 0;

        (void) userdata;
        for (int i = 0; more && i < 3 && r >= 0; i++)
                r = varlink_reply(c, json_deep_copy(parameters), true);
        return r < 0 ? r : varlink_reply(c, json_deep_copy(parameters), false);
}

static int refuse(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        (void) userdata;
        return json_object_get(parameters, "name") ? varlink_error(c, "a.b.No", NULL)
                                                   : varlink_invalid(c, "name");
}

static const VarlinkMethod methods[] = { { "a.b.Echo", echo }, { "a.b.Refuse", refuse }, {} };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        VarlinkServer *server = NULL;
        sd_event *event = NULL;
        char answer[4096];
        int fds[2];

        if (sd_event_new(&event) < 0 || varlink_new(event, methods, NULL, &server) < 0 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                abort();
        if (varlink_serve(server, fds[0]) >= 0)
                for (size_t sent = 0, rounds = 0; rounds < 64; rounds++) {
                        ssize_t n = sent < size ? send(fds[1], data + sent, size - sent, MSG_NOSIGNAL) : 0;
                        sent += n > 0 ? n : 0;
                        if (sent == size)
                                (void) shutdown(fds[1], SHUT_WR);
                        if (sd_event_run(event, 0) < 0)
                                abort();
                        while (read(fds[1], answer, sizeof(answer)) > 0)
                                ;
                }
        close(fds[1]);
        varlink_free(server);
        sd_event_unref(event);
        return 0;
}

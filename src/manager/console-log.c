/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/console-log.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/socket.h"
#include "basic/str.h"
#include "basic/time.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* The limit of lines in the interval, for each machine. */
#define LINES_MAX   2000U
#define WINDOW_USEC (10 * USEC_PER_SEC)

/* The text may have any bytes but line breaks. */
static void send_entry(const char *machine, const char *unit, const char *text, size_t n)
{
        _cleanup_free_ char *head = strf(
                "PRIORITY=6\nSYSLOG_IDENTIFIER=%s\nMACHINE=%s\nOBJECT_SYSTEMD_UNIT=%s\n"
                "MESSAGE=",
                machine, machine, unit);
        _cleanup_close_ int fd = socket_connect(JOURNAL_SOCKET, SOCK_DGRAM | SOCK_NONBLOCK);

        if (!head || fd < 0)
                return;
        struct iovec parts[] = {
                { head, strlen(head) },
                { (char *) text, n },
                { (char *) "\n", 1 },
        };
        const struct msghdr message = { .msg_iov = parts, .msg_iovlen = ELEMENTSOF(parts) };
        (void) sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void tell_missed(ConsoleLog *log, const char *machine, const char *unit)
{
        char text[64];
        int n = snprintf(text, sizeof(text), "%u lines of the console were not logged.", log->n_missed);

        if (log->n_missed > 0)
                send_entry(machine, unit, text, n);
        log->n_missed = 0;
}

void console_log_flush(ConsoleLog *log, const char *machine, const char *unit)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (log->n == 0)
                return;
        if (now - log->window_usec > WINDOW_USEC) {
                tell_missed(log, machine, unit);
                log->window_usec = now;
                log->n_lines = 0;
        }
        if (++log->n_lines > LINES_MAX)
                log->n_missed++;
        else
                send_entry(machine, unit, log->line, log->n);
        log->n = 0;
}

void console_log_write(ConsoleLog *log, const char *machine, const char *unit, const char *data, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (log->n + 2 > sizeof(log->line))
                        console_log_flush(log, machine, unit);
                log->n += plain_text(&log->text, data + i, 1, log->line + log->n);
                if (log->n > 0 && log->line[log->n - 1] == '\n') {
                        log->n--;
                        console_log_flush(log, machine, unit);
                }
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl console and attach: the terminal of the first process of a machine, which the registry holds. */

#include "cli/verb-console.h"

#include <unistd.h>

#include "basic/fd.h"
#include "basic/plain-text.h"
#include "cli/bus.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "cli/usage.h"

/* Flags of OpenConsole(), see org.mctl.Registry1(5). */
#define CONSOLE_READ_ONLY UINT64_C(1)
#define CONSOLE_ONCE      UINT64_C(2)
#define CONSOLE_NEW       UINT64_C(4)

/* The answer of OpenConsole(). */
typedef struct Opened {
        int fd;
        bool writes;
        uint64_t backlog; /* bytes of older output that come first */
} Opened;

static int open_console(Context *c, const char *name, uint64_t flags, Opened *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t backlog;
        int fd, writes, r;

        r = bus_ask_registry(c, "Not attached", "OpenConsole", &reply, "st", name, flags);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "hbt", &fd, &writes, &backlog);
        if (r >= 0)
                r = RET_NERRNO(fcntl(fd, F_DUPFD_CLOEXEC, 3));
        if (r < 0)
                return log_error_errno(r, "The registry sent an invalid answer");
        *ret = (Opened){ r, writes, backlog };
        return 0;
}

/* Opens the console again after the registry was restarted. No output was lost, so only new output is
 * shown. */
static int reopen(Context *c, Process *p)
{
        Opened o = { .fd = -EBADF };
        int r = open_console(c, p->name, CONSOLE_NEW | (c->spec->read_only ? CONSOLE_READ_ONLY : 0), &o);

        return r < 0 ? r : terminal_reconnect(p->terminal, o.fd, o.writes);
}

int console_attach(Context *c, Process *p)
{
        Opened o = { .fd = -EBADF };
        int r;

        /* Open the console before signals are blocked, since it may take long. */
        r = open_console(c, p->name, c->spec->read_only ? CONSOLE_READ_ONLY : 0, &o);
        if (r >= 0)
                r = process_prepare(c, p);
        if (r < 0) {
                fd_close(o.fd);
                return r;
        }
        p->reopen = reopen;
        if (!o.writes && !c->spec->read_only)
                log_warning(
                        "Another client can write to the console of machine '%s'; this client only reads.",
                        p->name);
        if (!c->quiet && isatty(STDIN_FILENO))
                fprintf(stderr, "Attached to the console of machine '%s'.%s\n", p->name,
                        c->default_keys ? " To detach, press ^] three times within a second." : "");
        r = terminal_new_console(&c->keys, o.fd, o.writes, o.backlog, &p->terminal);
        return r < 0 ? log_error_errno(r, "Failed to attach") : 0;
}

/* Prints the output so far. On a terminal, control sequences are left out: the terminal would answer some of
 * them, and the machine would not get the answers. */
static int print_once(Context *c, const char *name)
{
        bool plain = !c->raw && isatty(STDOUT_FILENO);
        PlainText state = {};
        char buffer[4096], text[sizeof(buffer) + 1];
        Opened o = { .fd = -EBADF };
        ssize_t n;
        int r;

        r = open_console(c, name, CONSOLE_ONCE, &o);
        if (r < 0)
                return r;
        _cleanup_close_ int console_fd = o.fd;
        (void) fcntl(console_fd, F_SETFL, 0);
        while ((n = read(console_fd, buffer, sizeof(buffer))) > 0) {
                size_t size = plain ? plain_text(&state, buffer, n, text) : (size_t) n;
                if (fwrite(plain ? text : buffer, 1, size, stdout) != size)
                        break;
        }
        return 0;
}

int verb_console(Context *c, char **args)
{
        _cleanup_(process_clear) Process p = { .name = args[0], .ended = true };
        json_t *machine;
        int r;

        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (!c->stream)
                return print_once(c, args[0]);
        r = bus_get_machine(c, args[0], &machine);
        if (r < 0)
                return r;
        p.unit = json_text(machine, "Unit");
        r = p.unit ? console_attach(c, &p) : -ESRCH;
        if (r >= 0)
                r = process_wait(c, &p, NULL);
        json_decref(machine);
        return r;
}

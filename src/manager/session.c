/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/session.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "basic/fd.h"
#include "manager/machine-inspect.h"
#include "manager/manager.h"
#include "systemd/unit-request.h"

#define PTS "/dev/pts/"

static DEFINE_SCHEMA(shell_arguments, ShellArguments, FIELD(ShellArguments, FIELD_STRING, "user", user),
                     FIELD(ShellArguments, FIELD_STRING, "path", path),
                     FIELD(ShellArguments, FIELD_STRINGS, "args", args),
                     FIELD(ShellArguments, FIELD_STRINGS, "environment", environment));

typedef struct Session {
        Call *call;
        sd_bus *bus; /* the bus in the machine */
        Systemd *systemd;
        int master_fd;
        char *path; /* the path of the slave */
} Session;

static void session_free(Session *s)
{
        if (s->systemd)
                systemd_free(s->systemd);
        sd_bus_close_unref(s->bus);
        fd_close(s->master_fd);
        free(s->path);
        free(s);
}
DEFINE_CLEANUP(Session *, session_free);

static int free_later(sd_event_source *source, void *userdata)
{
        sd_event_source_disable_unref(source);
        session_free(userdata);
        return 0;
}

/* The answer is on the connection that is closed with the session. */
static void on_started(void *userdata, const sd_bus_error *error, const char *job)
{
        Session *s = userdata;
        Manager *manager = s->call->manager;
        sd_event_source *source;

        (void) job;
        manager->n_pending--;
        if (error) {
                _cleanup_free_ char *shown = str_escape(error->message ?: error->name);
                call_fail_error(s->call, &(Error){ .kind = ERROR_BUS,
                                                   .name = SD_BUS_ERROR_FAILED,
                                                   .message = shown ?: error->name });
        } else
                call_answer(s->call, &(TerminalAnswer){ s->master_fd, s->path });
        if (sd_event_add_defer(manager->event, &source, free_later, s) < 0)
                sd_bus_close(s->bus);
}

static int connect_to(Session *s, const Machine *m)
{
        char address[64];
        int r;

        if (machine_is_host(m))
                snprintf(address, sizeof(address), "unix:path=/run/dbus/system_bus_socket");
        else
                snprintf(address, sizeof(address), "x-machine-unix:pid=%i", m->record.leader);
        r = sd_bus_new(&s->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(s->bus, address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(s->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_negotiate_fds(s->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_start(s->bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(s->bus, m->manager->event, SD_EVENT_PRIORITY_NORMAL);
        return r < 0 ? r : systemd_new(s->bus, &s->systemd);
}

/* Opens the terminal, and connects to the bus in the machine. Returns 0 if the call has been answered. */
static int session_new(Call *call, const Machine *m, Session **ret)
{
        _cleanup_(session_free_cleanup) Session *s = calloc(1, sizeof(Session));
        int r;

        OOM_CHECK(s);
        *s = (Session){ .call = call, .master_fd = -EBADF };
        _cleanup_close_ int proc_fd = machine_open_or_host(m);
        s->master_fd = proc_fd < 0 ? proc_fd : inspect_open_terminal(proc_fd, &s->path);
        r = s->master_fd < 0 ? s->master_fd : connect_to(s, m);
        if (r < 0) {
                call_fail_errno(call, r, "Machine '%s' has no system bus that can be asked", m->name);
                return 0;
        }
        *ret = TAKE_PTR(s);
        return 1;
}

/* Starts the unit on the terminal. The handler of the answer then owns the session. */
static int session_start(Session **session, UnitRequest *request)
{
        Session *s = *session;
        int r = request ? unit_request_send(request, on_started, s) : -ENOMEM;

        if (r < 0)
                return r;
        s->call->manager->n_pending++;
        *session = NULL;
        return 0;
}

static char *unit_name(const Session *s, const char *kind)
{
        return strf("container-%s@%s.service", kind, s->path + strlen(PTS));
}

static int open_login(Call *call, Machine *m, const void *arguments)
{
        _cleanup_(session_free_cleanup) Session *s = NULL;
        _cleanup_free_ char *unit = NULL;
        int r;

        (void) arguments;
        r = session_new(call, m, &s);
        if (r <= 0)
                return r;
        unit = unit_name(s, "getty");
        OOM_CHECK(unit);
        r = systemd_start_unit(s->systemd, unit, on_started, s);
        if (r < 0)
                return r;
        call->manager->n_pending++;
        TAKE_PTR(s);
        return 0;
}

/* The service that systemd in the machine starts: a login session of the user on the terminal. */
static void add_shell(UnitRequest *q, const Session *s, int tty_fd, const ShellArguments *a)
{
        static char *const default_args[] = { (char *) "sh", (char *) "-c",
                                              (char *) "exec \"${SHELL:-/bin/sh}\" -l", NULL };
        char *const own_args[] = { a->path, NULL };
        bool has_path = !isempty(a->path);

        unit_request_add_stdio(q, (const int[]){ tty_fd, tty_fd, tty_fd });
        unit_request_add(q, "Description", "s", "Shell on a terminal");
        unit_request_add(q, "TTYPath", "s", s->path);
        unit_request_add(q, "TTYReset", "b", true);
        unit_request_add(q, "SendSIGHUP", "b", true);
        unit_request_add(q, "IgnoreSIGPIPE", "b", false);
        unit_request_add(q, "KillMode", "s", "mixed");
        unit_request_add(q, "User", "s", isempty(a->user) ? "root" : a->user);
        unit_request_add(q, "WorkingDirectory", "s", "-~");
        unit_request_add(q, "PAMName", "s", "login");
        unit_request_add(q, "UtmpMode", "s", "user");
        if (a->environment && a->environment[0])
                unit_request_add_strings(q, "Environment", a->environment);
        unit_request_add_command(q, "ExecStart", has_path ? a->path : "/bin/sh",
                                 !has_path               ? (Strv) default_args
                                 : a->args && a->args[0] ? a->args
                                                         : (Strv) own_args,
                                 true);
}

static int open_shell(Call *call, Machine *m, const void *arguments)
{
        const ShellArguments *a = arguments;
        _cleanup_unit_request_ UnitRequest *request = NULL;
        _cleanup_(session_free_cleanup) Session *s = NULL;
        _cleanup_free_ char *unit = NULL;
        int r;

        if (!isempty(a->path) && a->path[0] != '/') {
                call_fail(call, ERROR_INVALID_ARGUMENT, "The program needs an absolute path.");
                return 0;
        }
        r = session_new(call, m, &s);
        if (r <= 0)
                return r;
        _cleanup_close_ int tty_fd = ioctl(s->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (tty_fd < 0)
                return -errno;
        unit = unit_name(s, "shell");
        OOM_CHECK(unit);
        request = unit_request_start(s->systemd, unit);
        OOM_CHECK(request);
        add_shell(request, s, tty_fd, a);
        return session_start(&s, request);
}

static int shell_details(const Call *call, const void *arguments, Strv *ret)
{
        const ShellArguments *a = arguments;
        _cleanup_free_ char *line = a->args ? strv_join(a->args, " ") : strdup("");

        (void) call;
        OOM_CHECK(line);
        return strv_extend(ret, (char *[]){ (char *) "user", isempty(a->user) ? (char *) "root" : a->user,
                                            (char *) "program", a->path ?: (char *) "",
                                            (char *) "command_line", line, NULL });
}

const Operation operation_open_login = { "login", TARGET_MACHINE, .answer = &terminal_answer_schema,
                                         .policy = POLICY_LOGIN, .run = open_login };
const Operation operation_open_shell = { "shell",
                                         TARGET_MACHINE,
                                         .arguments = &shell_arguments,
                                         .answer = &terminal_answer_schema,
                                         .policy = POLICY_SHELL,
                                         .run = open_shell,
                                         .details = shell_details };

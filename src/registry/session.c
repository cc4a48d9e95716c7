/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Login sessions in a machine, as machinectl has them: a terminal of the machine is opened, and systemd inside is asked
 * over its own system bus to start something on it. */

#include <fcntl.h>
#include <sys/ioctl.h>

#include "basic/fd.h"
#include "registry/inspect.h"
#include "registry/machine1.h"
#include "registry/unit.h"

typedef struct Session {
        Registry *registry;
        sd_bus_message *call;
        sd_bus *bus; /* of the machine */
        int master_fd;
        char *path; /* of the other end */
} Session;

static void session_free(Session *s)
{
        s->registry->n_pending--;
        sd_bus_close_unref(s->bus);
        sd_bus_message_unref(s->call);
        fd_close(s->master_fd);
        free(s->path);
        free(s);
}
DEFINE_CLEANUP(Session *, session_free);

static int on_session_started(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(session_free_cleanup) Session *s = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        (void) ret_error;
        if (e) {
                _cleanup_free_ char *shown = str_escape(e->message);
                return sd_bus_reply_method_errorf(s->call, SD_BUS_ERROR_FAILED,
                                                  "The system inside did not start it: %s", strna(shown));
        }
        return sd_bus_reply_method_return(s->call, "hs", s->master_fd, s->path);
}

/* Opens the terminal and connects to the bus inside. */
static int session_new(Registry *registry, Machine *m, sd_bus_message *call, Session **ret)
{
        _cleanup_(session_free_cleanup) Session *s = calloc(1, sizeof(Session));
        char address[64];
        int r;

        OOM_CHECK(s);
        *s = (Session){ .registry = registry, .call = sd_bus_message_ref(call), .master_fd = -EBADF };
        registry->n_pending++;
        _cleanup_close_ int proc_fd = machine_open_or_host(m);
        if (proc_fd < 0)
                return proc_fd;
        s->master_fd = inspect_open_terminal(proc_fd, &s->path);
        if (s->master_fd < 0)
                return s->master_fd;
        if (machine_is_host(m))
                snprintf(address, sizeof(address), "unix:path=/run/dbus/system_bus_socket");
        else
                snprintf(address, sizeof(address), "x-machine-unix:pid=%i", m->record.leader);
        r = sd_bus_new(&s->bus);
        if (r >= 0)
                r = sd_bus_set_address(s->bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(s->bus, true);
        if (r >= 0)
                r = sd_bus_negotiate_fds(s->bus, true);
        if (r >= 0)
                r = sd_bus_start(s->bus);
        if (r >= 0)
                r = sd_bus_attach_event(s->bus, registry->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                *ret = TAKE_PTR(s);
        return r;
}

static int reply_no_bus(sd_bus_message *call, Machine *m, int error)
{
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_FAILED,
                                          "Machine '%s' has no system bus that can be asked: %s", m->name,
                                          strerror(-error));
}

/* Begins the call that starts a unit on the terminal: "container-KIND@NUMBER.service". */
static int session_request(Session *s, const char *method, const char *kind, const char *mode,
                           sd_bus_message **ret)
{
        _cleanup_free_ char *unit = strf("container-%s@%s.service", kind, s->path + strlen("/dev/pts/"));

        OOM_CHECK(unit);
        return systemd_call(s->bus, ret, method, "ss", unit, mode);
}

/* Sends it; the session then belongs to the answer. */
static int session_send(Session **session, sd_bus_message *request)
{
        int r = sd_bus_call_async((*session)->bus, NULL, request, on_session_started, *session, 0);

        if (r < 0)
                return r;
        TAKE_PTR(*session);
        return 1;
}

int machine1_open_login(Registry *registry, Machine *m, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(session_free_cleanup) Session *s = NULL;
        int r;

        r = session_new(registry, m, call, &s);
        if (r < 0)
                return reply_no_bus(call, m, r);
        r = session_request(s, "StartUnit", "getty", "replace", &request);
        return r < 0 ? r : session_send(&s, request);
}

/* The service that systemd inside starts: a login session of that user on the terminal. */
static int append_shell(sd_bus_message *m, const Session *s, const char *user, const char *path, char **args,
                        char **environment)
{
        static char *const default_args[] = { (char *) "sh", (char *) "-c",
                                              (char *) "exec \"${SHELL:-/bin/sh}\" -l", NULL };
        int r;

        _cleanup_close_ int tty_fd = ioctl(s->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (tty_fd < 0)
                return -errno;
        r = unit_append_stdio(m, (const int[]){ tty_fd, tty_fd, tty_fd });
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
                                          "Shell on a terminal", "TTYPath", "s", s->path, "TTYReset", "b",
                                          true, "SendSIGHUP", "b", true, "IgnoreSIGPIPE", "b", false,
                                          "KillMode", "s", "mixed", "User", "s", user, "WorkingDirectory",
                                          "s", "-~", "PAMName", "s", "login", "UtmpMode", "s", "user");
        if (r >= 0 && environment && environment[0]) {
                r = unit_open_property(m, "Environment", "as");
                if (r >= 0)
                        r = sd_bus_message_append_strv(m, environment);
                if (r >= 0)
                        r = unit_close_containers(m, 2);
        }
        if (r >= 0)
                r = unit_open_property(m, "ExecStart", "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", isempty(path) ? "/bin/sh" : path);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, isempty(path)     ? (char **) default_args
                                                  : args && args[0] ? args
                                                                    : (char *[]){ (char *) path, NULL });
        if (r >= 0)
                r = sd_bus_message_append(m, "b", true);
        return r < 0 ? r : unit_close_containers(m, 4);
}

int machine1_open_shell(Registry *registry, Machine *m, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_strv_ Strv args = NULL, environment = NULL;
        _cleanup_(session_free_cleanup) Session *s = NULL;
        const char *user, *path;
        int r;

        r = sd_bus_message_read(call, "ss", &user, &path);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &args);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &environment);
        if (r < 0)
                return r;
        if (!isempty(path) && path[0] != '/')
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "The program needs an absolute path.");
        r = session_new(registry, m, call, &s);
        if (r < 0)
                return reply_no_bus(call, m, r);
        r = session_request(s, "StartTransientUnit", "shell", "fail", &request);
        if (r >= 0)
                r = sd_bus_message_open_container(request, 'a', "(sv)");
        if (r >= 0)
                r = append_shell(request, s, isempty(user) ? "root" : user, path, args, environment);
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        if (r >= 0)
                r = sd_bus_message_append(request, "a(sa(sv))", 0);
        return r < 0 ? r : session_send(&s, request);
}

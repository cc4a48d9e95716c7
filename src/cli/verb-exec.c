/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl exec, shell and login: run one more program in a machine. For root, mctl executes mctl-enter, which
 * runs the program. With a terminal, mctl-enter is a child, and mctl passes the terminal on. For other
 * users, the registry starts the program. */

#include "cli/verb-exec.h"

#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/random.h"
#include "cli/bus.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "cli/verb-run.h"
#include "spec/enter.h"

static EnterRequest make_request(const Context *c, const char *name, char **words, bool login)
{
        return (EnterRequest){
                .machine = name,
                .user = c->spec->user,
                .directory = c->spec->working_directory,
                .environment = c->spec->environment,
                .command = words,
                .flags = (c->run.interactive ? ENTER_INTERACTIVE : 0) |
                         (c->run.terminal ? ENTER_TERMINAL : 0) |
                         (c->run.privileged ? ENTER_PRIVILEGED : 0) | (login ? ENTER_LOGIN : 0),
        };
}

static int become(char **command)
{
        execv(command[0], command);
        return log_error_errno(-errno, "Failed to run '%s'", command[0]);
}

/* Passes data and signals on until the program has ended, and then its last output. */
static int copy_terminal(Terminal *terminal, int pid_fd, int signal_fd)
{
        struct signalfd_siginfo info;
        struct pollfd fds[8];
        int r, more = 1;

        for (;;) {
                if (more > 0)
                        more = terminal_process(terminal);
                if (more < 0 || terminal_detached(terminal))
                        return MIN(more, 0);
                size_t n = 0;
                fds[n++] = (struct pollfd){ .fd = pid_fd, .events = POLLIN };
                fds[n++] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
                if (more > 0)
                        n += terminal_poll(terminal, fds + n);
                r = poll(fds, n, -1);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (read(signal_fd, &info, sizeof(info)) == sizeof(info))
                        (void) pidfd_send_signal(pid_fd, (int) info.ssi_signo, NULL, 0);
                /* Another process may keep the terminal open after the end of the program: stop when no
                 * output comes for 100 ms. */
                if (r > 0 && fds[0].revents) {
                        while (more > 0 && (more = terminal_process(terminal)) > 0 &&
                               poll(fds + 2, n - 2, 100) > 0)
                                n = 2 + terminal_poll(terminal, fds + 2);
                        return 0;
                }
        }
}

static int run_on_terminal(Context *c, char **command)
{
        Terminal *terminal = NULL;
        siginfo_t info = {};
        int machine_fd, r;

        r = terminal_new(&c->keys, &terminal, &machine_fd);
        if (r < 0)
                return log_error_errno(r, "Failed to make a terminal");
        _cleanup_close_ int signal_fd = process_block_signals();
        pid_t pid = fork();
        if (pid == 0) {
                sigset_t none;
                (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
                sigemptyset(&none);
                (void) sigprocmask(SIG_SETMASK, &none, NULL);
                (void) dup2(machine_fd, STDIN_FILENO);
                (void) become(command);
                _exit(EXIT_STATUS_NOT_RUN);
        }
        fd_close(machine_fd);
        _cleanup_close_ int pid_fd = pid < 0 ? -EBADF : pidfd_open(pid, 0);
        r = pid_fd < 0 ? -errno : copy_terminal(terminal, pid_fd, signal_fd);
        bool left = terminal_detached(terminal);
        terminal_free(terminal);
        if (r >= 0 && left)
                return 0; /* terminal_free() has hung up the terminal of the program */
        if (r < 0 && pid_fd >= 0)
                (void) pidfd_send_signal(pid_fd, SIGKILL, NULL, 0);
        if (r < 0)
                return log_error_errno(r, "Failed to run on a terminal");
        if (waitid(P_PID, pid, &info, WEXITED) < 0)
                return log_error_errno(-errno, "Failed to wait for the program");
        return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* --- by the registry ----------------------------------------------------------------------------------- */

/* The ID of a program. mctl chooses it, so that the unit can be watched before it exists. */
typedef struct Id {
        char *name; /* "MACHINE-NUMBER" */
        char *unit;
} Id;

static void id_clear(Id *id)
{
        free(id->name);
        free(id->unit);
}

static int make_id(const char *machine, Id *ret)
{
        ret->name = strf("%s-%012" PRIx64, machine, random_u64() & UINT64_C(0xffffffffffff));
        ret->unit = ret->name ? strf("mctl-exec-%s.service", ret->name) : NULL;
        return ret->unit ? 0 : log_oom();
}

static int make_call(Context *c, const char *method, const EnterRequest *request, const Id *id,
                     sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, &m, REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE,
                                           method);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssss", request->machine, strrchr(id->name, '-') + 1,
                                          request->user ?: "", request->directory ?: "");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, request->environment);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, request->command);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", request->flags);
        if (r < 0)
                return log_error_errno(r, "Failed to make a message");
        *ret = TAKE_PTR(m);
        return 0;
}

/* Passes the first three signals on as they are; further ones become SIGKILL. */
static int pass_signal(Context *c, const char *name, int sig, unsigned count)
{
        const char *dash = strrchr(name, '-');
        _cleanup_free_ char *machine = strndup(name, dash - name);

        return bus_call_registry(c, "Failed to pass a signal on", "KillInMachine", NULL, "ssi",
                                 strna(machine), dash + 1, count < 3 ? sig : SIGKILL);
}

static int run_by_registry(Context *c, const EnterRequest *request)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(id_clear) Id id = {};
        _cleanup_(process_clear) Process p = { .pass_signal = pass_signal };
        const char *job;
        int r;

        r = make_id(request->machine, &id);
        if (r < 0)
                return r;
        p.unit = id.unit;
        p.name = id.name;
        r = process_prepare(c, &p);
        if (r >= 0)
                r = process_prepare_input(c, &p);
        if (r >= 0)
                r = make_call(c, "ExecInMachine", request, &id, &call);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "hhh", p.stdin_fd, STDOUT_FILENO, STDERR_FILENO);
        if (r < 0)
                return log_error_errno(r, "Failed to pass the standard streams on");
        r = bus_call(c, "Not run", call, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &job);
        return r < 0 ? log_error_errno(r, "The registry sent an invalid answer") : process_wait(c, &p, job);
}

static int run_detached(Context *c, const EnterRequest *request)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(id_clear) Id id = {};
        int r;

        r = make_id(request->machine, &id);
        if (r >= 0)
                r = make_call(c, "StartInMachine", request, &id, &call);
        if (r >= 0)
                r = bus_call(c, "Not run", call, NULL);
        if (r < 0)
                return r;
        if (c->output != OUTPUT_TEXT)
                return output_json(c, json_pack("{ss ss}", "id", id.name, "unit", id.unit));
        puts(id.name);
        return 0;
}

/* --- programs that nobody waits for -------------------------------------------------------------------- */

static bool has_ended(const json_t *unit)
{
        const char *state = json_text(unit, "ActiveState"), *sub = json_text(unit, "SubState");

        return !streq_ptr(state, "activating") && !streq_ptr(sub, "running") &&
               !streq_ptr(state, "deactivating");
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void) m;
        (void) error;
        *(bool *) userdata = true;
        return 0;
}

/* Waits for the end of a program, and returns its exit status. systemd keeps the unit until it is stopped
 * here, or its machine ends. */
static int wait_for(Context *c, const char *name)
{
        _cleanup_free_ char *unit = strf("mctl-exec-%s.service", name), *path = NULL;
        json_t *properties = NULL;
        bool changed = true;
        int r;

        if (!str_is_clean(name))
                return log_error_return(-EINVAL, "The name of the program is invalid.");
        if (!unit)
                return log_oom();
        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_match_signal(c->bus, NULL, SYSTEMD_NAME, path, "org.freedesktop.DBus.Properties",
                                        "PropertiesChanged", on_change, &changed);
        if (r < 0)
                return log_error_errno(r, "Failed to watch unit '%s'", unit);
        for (;;) {
                if (changed) {
                        changed = false;
                        r = bus_get_unit(c, unit, &properties);
                        if (r < 0)
                                return r;
                        if (streq_ptr(json_text(properties, "LoadState"), "not-found")) {
                                json_decref(properties);
                                return log_error_return(-ENOENT, "No machine has a program '%s'.", name);
                        }
                        if (has_ended(properties))
                                break;
                        json_decref(properties);
                }
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return log_error_errno(r, "Failed to wait for unit '%s'", unit);
        }
        int code = json_number(properties, "ExecMainCode"),
            status = json_number(properties, "ExecMainStatus");
        json_decref(properties);
        (void) sd_bus_call_method(c->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit", NULL,
                                  NULL, "ss", unit, "replace");
        (void) sd_bus_call_method(c->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "ResetFailedUnit",
                                  NULL, NULL, "s", unit);
        return code == CLD_EXITED ? status : 128 + status;
}

static int list_programs(Context *c)
{
        static const Column columns[] = {
                { "id", "ID", NULL },
                { "state", "STATE", NULL },
                { "description", "DESCRIPTION", NULL },
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *unit, *description, *sub;
        json_t *rows = json_array();
        int r;

        r = bus_call_manager(c, "Failed to list programs", "ListUnitsByPatterns", &reply, "asas", 0, 1,
                             "mctl-exec-*.service");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &unit, &description, NULL, NULL,
                                                  &sub, NULL, NULL, NULL, NULL, NULL)) > 0) {
                const char *id = startswith(unit, "mctl-exec-"), *end = id ? endswith(id, ".service") : NULL;
                if (end)
                        json_array_append_new(rows, json_pack("{ss% ss ss}", "id", id, (size_t) (end - id),
                                                              "state", sub, "description", description));
        }
        if (r >= 0)
                r = output_array(c, rows, columns, ELEMENTSOF(columns), "program");
        json_decref(rows);
        return r;
}

/* --- the verbs ----------------------------------------------------------------------------------------- */

/* Runs a program in a machine. Root executes mctl-enter; other users call the registry. */
static int enter(Context *c, const char *name, char **words, bool login)
{
        _cleanup_strv_ Strv command = NULL;
        int r;

        if (!machine_name_valid(name))
                return usage_bad_name(name), -EINVAL;
        if (c->run.detach && (c->run.terminal || c->run.interactive))
                return log_error_return(-EINVAL, "-d cannot be combined with -i or -t.");
        if (c->run.terminal && !isatty(STDIN_FILENO))
                return log_error_return(-ENOTTY, "The command needs a terminal on standard input.");
        r = run_fill_environment(c);
        if (r < 0)
                return r;
        const EnterRequest request = make_request(c, name, words, login);
        if (c->run.detach)
                return run_detached(c, &request);
        if (geteuid() != 0)
                return run_by_registry(c, &request);
        r = enter_command(&request, &command);
        if (r < 0)
                return log_oom();
        return c->run.terminal ? run_on_terminal(c, command) : become(command);
}

int verb_exec(Context *c, char **args)
{
        size_t n = strv_length(args);

        if (c->run.list && n == 0)
                return list_programs(c);
        if (c->run.wait && n == 1)
                return wait_for(c, args[0]);
        if (c->run.list || c->run.wait || n < 2)
                return log_error_return(
                        -EINVAL,
                        "Expected: mctl exec NAME COMMAND…, mctl exec --list, or mctl exec --wait ID");
        return enter(c, args[0], args + 1, false);
}

/* --- the host itself ----------------------------------------------------------------------------------- */

static bool is_host(const char *name)
{
        return isempty(name) || streq(name, ".host");
}

/* Runs a login session on the host (PAM), like the one of 'mctl shell' in a machine. */
static int host_shell(Context *c, const char *user, char **words)
{
        const struct passwd *p = getpwnam(user);
        _cleanup_strv_ Strv l = NULL;
        int r;

        if (!p)
                return log_error_return(-ESRCH, "There is no user '%s' on this host.", user);
        r = run_fill_environment(c);
        if (r >= 0)
                r = session_command(&(EnterRequest){ .user = user,
                                                     .directory = c->spec->working_directory,
                                                     .environment = c->spec->environment,
                                                     .command = words,
                                                     .flags = c->run.terminal ? ENTER_TERMINAL : 0 },
                                    p->pw_shell, &l);
        return r < 0 ? log_error_errno(r, "Failed to make a session") : become(l);
}

/* --- shells -------------------------------------------------------------------------------------------- */

/* args[0] is "[USER@]NAME". */
int verb_shell(Context *c, char **args)
{
        char *nothing[] = { (char *) "", NULL };

        if (!args[0])
                args = nothing;
        const char *at = strrchr(args[0], '@');
        _cleanup_free_ char *user = at ? strndup(args[0], at - args[0]) : strdup("root");
        if (!user || free_and_strdup(&c->spec->user, user) < 0)
                return log_oom();
        if (isempty(user))
                return log_error_return(-EINVAL, "Expected a user before the '@'.");
        c->run.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        c->run.interactive = true;
        if (is_host(at ? at + 1 : args[0]))
                return host_shell(c, user, args + 1);
        return enter(c, at ? at + 1 : args[0], args + 1, true);
}

/* Runs agetty(8) in the machine, which asks for a name and a password. */
int verb_login(Context *c, char **args)
{
        char *getty[] = { (char *) "/sbin/agetty", (char *) "--noclear", (char *) "-",
                          (char *) (getenv("TERM") ?: "linux"), NULL };

        if (is_host(args[0]))
                return become((char *[]){ (char *) "/bin/login", NULL });
        c->run.terminal = true;
        return enter(c, args[0], getty, false);
}

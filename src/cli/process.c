/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "basic/fd.h"

void process_clear(Process *p)
{
        jobs_clear(&p->jobs);
        if (p->terminal)
                terminal_free(p->terminal);
        if (p->prepared) {
                if (p->stdin_fd != STDIN_FILENO)
                        fd_close(p->stdin_fd);
                fd_close(p->signal_fd);
        }
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Process *p = userdata;
        json_t *properties;

        (void) error;
        if (sd_bus_message_skip(m, "s") < 0 || client_read_properties(m, &properties) < 0)
                return 0;
        const char *state = json_text(properties, "ActiveState");
        if (json_object_get(properties, "ExecMainCode")) {
                p->code = json_number(properties, "ExecMainCode");
                p->status = json_number(properties, "ExecMainStatus");
        }
        if (state) {
                p->started = p->started || streq(state, "active");
                p->ended = streq(state, "inactive") || streq(state, "failed");
                p->checked = false;
        }
        json_decref(properties);
        return 0;
}

static int watch(Context *c, Process *p)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", p->unit, &path);
        if (r >= 0)
                r = sd_bus_match_signal_async(c->bus, NULL, SYSTEMD_NAME, path,
                                              "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                              on_properties, NULL, p);
        return r < 0 ? log_error_errno(r, "Failed to watch unit '%s'", p->unit)
                     : bus_watch_jobs(c, &p->jobs);
}

int process_block_signals(void)
{
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        return RET_NERRNO(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int process_prepare(Context *c, Process *p)
{
        int r;

        p->prepared = true;
        p->stdin_fd = p->signal_fd = -EBADF;
        r = watch(c, p);
        if (r < 0)
                return r;
        p->signal_fd = process_block_signals(); /* before the start, so that no signal is lost */
        return 0;
}

int process_prepare_input(Context *c, Process *p)
{
        int r;

        if (c->run.terminal) {
                r = terminal_new(&c->keys, &p->terminal, &p->stdin_fd);
                return r < 0 ? log_error_errno(r, "Failed to make a terminal") : 0;
        }
        p->stdin_fd = c->run.interactive ? STDIN_FILENO : open("/dev/null", O_RDWR | O_CLOEXEC);
        return p->stdin_fd < 0 ? log_error_errno(-errno, "Failed to open '/dev/null'") : 0;
}

/* A unit with Restart= is inactive for a moment before it is started again. So read the state anew, instead
 * of relying on the last signal. */
static void check_ended(Context *c, Process *p)
{
        _cleanup_free_ char *path = NULL, *state = NULL;

        if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", p->unit, &path) >= 0 &&
            sd_bus_get_property_string(c->bus, SYSTEMD_NAME, path, "org.freedesktop.systemd1.Unit",
                                       "ActiveState", NULL, &state) >= 0)
                p->ended = streq(state, "inactive") || streq(state, "failed");
        p->checked = true;
}

static void pass_signal(Context *c, Process *p)
{
        struct signalfd_siginfo info;

        if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
                return;
        if (p->pass_signal)
                (void) p->pass_signal(c, p->name, info.ssi_signo, p->n_signals++);
        else {
                p->left = true;
                p->code = CLD_KILLED;
                p->status = info.ssi_signo;
        }
}

static int wait_end(Context *c, Process *p)
{
        struct pollfd fds[8];
        int r, more = p->terminal ? 1 : 0;

        for (;;) {
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return log_error_errno(r, "Failed to wait for unit '%s'", p->unit);
                if (r > 0)
                        continue;
                if (p->ended && !p->checked) {
                        check_ended(c, p);
                        continue; /* the call may have queued further messages */
                }
                if (more > 0)
                        more = terminal_process(p->terminal);
                if (more < 0 && p->reopen)
                        return more == -EPIPE
                                       ? more
                                       : log_error_errno(more, "Failed to show the output of the machine");
                if (more == 0 && p->terminal && terminal_detached(p->terminal)) {
                        p->left = true;
                        p->code = CLD_EXITED;
                        p->status = 0;
                }
                if (p->left)
                        return 0;
                /* The terminal of the machine is closed, but the process may still run. Then a console is
                 * opened again. Without a console, our terminal leaves raw mode: keys such as ^C raise
                 * signals, which are passed on to the process. */
                if (more == 0 && p->terminal && !p->ended) {
                        if (!p->reopen)
                                terminal_restore(p->terminal);
                        else if ((check_ended(c, p), !p->ended)) {
                                r = p->reopen(c, p);
                                if (r < 0)
                                        return r;
                                more = 1;
                        }
                }
                if (p->ended && jobs_done(&p->jobs) && more <= 0)
                        return 0;

                size_t n = 0;
                fds[n++] = (struct pollfd){ .fd = sd_bus_get_fd(c->bus),
                                            .events = sd_bus_get_events(c->bus) };
                fds[n++] = (struct pollfd){ .fd = p->signal_fd, .events = POLLIN };
                if (more > 0)
                        n += terminal_poll(p->terminal, fds + n);
                /* Another process may keep the terminal open after the end of the unit: wait for it only one
                 * second. */
                if (poll(fds, n, p->ended ? 1000 : -1) == 0)
                        return 0;
                if (fds[1].revents)
                        pass_signal(c, p);
        }
}

/* Reads how the unit ended, in case the last signal about it was missed. */
static void read_end(Context *c, Process *p)
{
        json_t *unit;

        if (bus_get_unit(c, p->unit, &unit) < 0)
                return;
        p->code = json_number(unit, "ExecMainCode") ?: CLD_EXITED;
        p->status = json_number(unit, "ExecMainStatus");
        json_decref(unit);
}

int process_wait(Context *c, Process *p, const char *job)
{
        int r = 0;

        if (p->terminal)
                p->stdin_fd = fd_close(p->stdin_fd);
        if (job)
                r = bus_add_job(&p->jobs, job, p->unit, p->name);
        if (r >= 0)
                r = wait_end(c, p);
        if (r < 0)
                return p->reopen ? EXIT_STATUS_FAILURE : EXIT_STATUS_NOT_RUN;
        if (p->left && p->code == CLD_EXITED && !c->quiet)
                fprintf(stderr, "\r\nDetached from machine '%s'.\r\n", p->name);
        if (!p->left && p->code == 0)
                read_end(c, p);
        /* The start failed, so the command did not run. The launcher has printed the reason on our standard
         * error. */
        if (job && !p->left && !p->started && !streq_ptr(p->jobs.items[0].result, "done"))
                return p->code == CLD_EXITED && p->status > EXIT_STATUS_NOT_RUN ? p->status
                                                                                : EXIT_STATUS_NOT_RUN;
        return p->code == CLD_EXITED ? p->status : 128 + p->status;
}

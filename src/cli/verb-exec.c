/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl exec and shell: one more program in a machine that is up. mctl-enter does it; we are that program, or, where it is on
 * a terminal, its other end. */

#include <poll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "cli/cli.h"
#include "cli/terminal.h"

static int make_command(Context *c, const char *name, char **command, bool login, Strv *ret)
{
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = strv_append(&l, ENTER);
        if (r >= 0 && c->spec->user)
                r = strv_appendf(&l, "--user=%s", c->spec->user);
        if (r >= 0 && c->spec->working_directory)
                r = strv_appendf(&l, "--workdir=%s", c->spec->working_directory);
        STRV_FOREACH (s, c->spec->environment)
                if (r >= 0)
                        r = strv_appendf(&l, "--env=%s", *s);
        if (r >= 0 && c->run.interactive)
                r = strv_append(&l, "--interactive");
        if (r >= 0 && c->run.terminal)
                r = strv_append(&l, "--tty");
        if (r >= 0 && c->run.privileged)
                r = strv_append(&l, "--privileged");
        if (r >= 0 && login)
                r = strv_append(&l, "--login");
        if (r >= 0)
                r = strv_append(&l, "--");
        if (r >= 0)
                r = strv_append(&l, name);
        if (r >= 0)
                r = strv_extend(&l, command);
        if (r < 0)
                return log_oom();
        *ret = TAKE_PTR(l);
        return 0;
}

static int become(char **command)
{
        execv(command[0], command);
        return log_error_errno(-errno, "Failed to run '%s'", command[0]);
}

/* Passes on what there is until the program has ended, and what it said last. */
static int copy_terminal(Terminal *terminal, int pid_fd)
{
        struct pollfd fds[8];
        int r, more = 1;

        for (;;) {
                if (more > 0)
                        more = terminal_process(terminal);
                if (more < 0)
                        return more;
                size_t n = 0;
                fds[n++] = (struct pollfd){ .fd = pid_fd, .events = POLLIN };
                if (more > 0)
                        n += terminal_poll(terminal, fds + n);
                r = poll(fds, n, -1);
                if (r < 0 && errno != EINTR)
                        return -errno;
                /* Whoever keeps the terminal open after the program has ended keeps nobody waiting. */
                if (r > 0 && fds[0].revents) {
                        while (more > 0 && (more = terminal_process(terminal)) > 0 &&
                               poll(fds + 1, n - 1, 100) > 0)
                                n = 1 + terminal_poll(terminal, fds + 1);
                        return 0;
                }
        }
}

static int run_on_terminal(char **command)
{
        Terminal *terminal = NULL;
        siginfo_t info = {};
        int machine_fd, r;

        r = terminal_new(&terminal, &machine_fd);
        if (r < 0)
                return log_error_errno(r, "Failed to make a terminal");
        pid_t pid = fork();
        if (pid == 0) {
                sigset_t none;
                sigemptyset(&none);
                (void) sigprocmask(SIG_SETMASK, &none, NULL);
                (void) dup2(machine_fd, STDIN_FILENO);
                (void) become(command);
                _exit(EXIT_STATUS_NOT_RUN);
        }
        fd_close(machine_fd);
        _cleanup_close_ int pid_fd = pid < 0 ? -EBADF : pidfd_open(pid, 0);
        r = pid_fd < 0 ? -errno : copy_terminal(terminal, pid_fd);
        terminal_free(terminal);
        if (r < 0)
                return log_error_errno(r, "Failed to run on a terminal");
        if (waitid(P_PID, pid, &info, WEXITED) < 0)
                return log_error_errno(-errno, "Failed to wait for the program");
        return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static int enter(Context *c, const char *name, char **words, bool login)
{
        _cleanup_strv_ Strv command = NULL;
        int r;

        if (c->host)
                return log_error_return(-EOPNOTSUPP, "That works on this host only; see ssh(1).");
        if (geteuid() != 0)
                return log_error_return(-EPERM, "Only root may do that.");
        if (!machine_name_valid(name))
                return usage_bad_name(name), -EINVAL;
        if (c->run.terminal && !isatty(STDIN_FILENO))
                return log_error_return(-ENOTTY, "-t needs a terminal on standard input.");
        r = run_fill_environment(c);
        if (r >= 0)
                r = make_command(c, name, words, login, &command);
        if (r < 0)
                return r;
        return c->run.terminal ? run_on_terminal(command) : become(command);
}

int verb_exec(Context *c, char **args)
{
        return enter(c, args[0], args + 1, false);
}

/* "USER@NAME" */
int verb_shell(Context *c, char **args)
{
        const char *at = strrchr(args[0], '@');

        if (at) {
                _cleanup_free_ char *user = strndup(args[0], at - args[0]);
                if (!user || free_and_strdup(&c->spec->user, user) < 0)
                        return log_oom();
        }
        c->run.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        c->run.interactive = true;
        return enter(c, at ? at + 1 : args[0], args + 1, true);
}

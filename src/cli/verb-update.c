/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Updates that undo themselves.
 *
 * "mctl update" has them done by a unit of its own, mctl-update-NAME.service, so they outlive who asked for them: "update-run" puts what another
 * image has in the place of the machine's, keeps what that was as a snapshot, and starts the machine with it. Whatever becomes of that,
 * "update-undo" runs behind it, by ExecStopPost=: where the update was not found to be good, it puts the snapshot back.
 *
 * That it was not, yet, systemd knows: mctl-update@NAME.service is enabled for that time, which does the same when the host comes
 * up after a power cut, before the machine does. */

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/time.h"
#include "cli/cli.h"

/* Of the machine's image: what it was before its last update, and what did not do in that. */
#define LABEL_BEFORE "before-update"
#define LABEL_FAILED "failed-update"

#define FORGET_TRIES     50U
#define FORGET_STEP_USEC (20 * USEC_PER_MSEC)

#define SYSTEM_UNITS "/etc/systemd/system"

#define HEALTH_STEP_USEC  USEC_PER_SEC
#define HEALTH_OUTPUT_MAX 4096U
#define UNDO_TIMEOUT_USEC (10 * 60 * USEC_PER_SEC)
#define TIMEOUT           "90" /* s */

/* --- the machine ---------------------------------------------------------------------------------------------------- */

typedef struct Subject {
        const char *name;
        char *image; /* in the store */
        char *unit;  /* that it runs as, or NULL */
        char *spec;  /* with which it was started, where it has no file; or NULL */
        bool waits;  /* for others, until it starts; it has no unit here either */
} Subject;

static void subject_clear(Subject *s)
{
        free(s->image);
        free(s->unit);
        free(s->spec);
}
#define _cleanup_subject_ _cleanup_(subject_clear)

static int read_spec(Context *c, Subject *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r = bus_call_registry(c, "Not updated", "GetMachineSpec", &reply, "s", s->name);

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return r;
        s->spec = strdup(text);
        return s->spec ? 0 : log_oom();
}

/* What it runs from, or would. A machine without a file is booted from the image that is called like it. */
static int find_subject(Context *c, const char *name, Subject *ret)
{
        _cleanup_free_ char *file = NULL;
        _cleanup_spec_ Spec *spec = NULL;
        const char *image = name;
        json_t *machine = NULL;
        int r = bus_find_machine(c, name, &machine);

        if (r < 0)
                return r;
        bool runs = machine && !streq_ptr(json_text(machine, "State"), "failed");
        /* At the boot of the host, for the undo of its update. */
        bool waits = runs && streq_ptr(json_text(machine, "State"), "starting") &&
                     isempty(json_text(machine, "Image"));
        runs = runs && !waits;
        if (runs)
                image = json_text(machine, "Image");
        else if (spec_find_file(name, &file) >= 0) {
                r = config_effective_spec(c, name, &spec);
                image = r < 0 ? NULL : spec->image ?: name;
        }
        if (r >= 0 && (isempty(image) || strchr(image, '/')))
                r = log_error_return(-EOPNOTSUPP, "Machine '%s' is not of an image of the store.", name);
        if (r >= 0) {
                *ret = (Subject){ .name = name,
                                  .image = strdup(image),
                                  .unit = runs ? strdup(strna(json_text(machine, "Unit"))) : NULL,
                                  .waits = waits };
                r = ret->image && (!runs || ret->unit) ? 0 : log_oom();
                if (r >= 0 && runs && startswith(ret->unit, "machine-"))
                        r = read_spec(c, ret);
        }
        json_decref(machine);
        return r;
}

/* --- systemd -------------------------------------------------------------------------------------------------------- */

static char *undo_unit(const char *name)
{
        return strf("mctl-update@%s.service", name);
}

/* That the update is not found to be good yet, on disk. */
static int set_pending(Context *c, const char *name, bool pending)
{
        _cleanup_free_ char *unit = undo_unit(name);
        int r;

        if (!unit)
                return log_oom();
        r = pending ? bus_call_manager(c, "Not updated", "EnableUnitFiles", NULL, "asbb", 1, unit, false,
                                       false)
                    : bus_call_manager(c, "Failed to end the update", "DisableUnitFiles", NULL, "asb", 1,
                                       unit, false);
        if (r < 0)
                return r;
        /* systemd does not see to that. */
        _cleanup_close_ int fd = open(SYSTEM_UNITS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || syncfs(fd) < 0)
                return log_error_errno(-errno, "Failed to write '" SYSTEM_UNITS "' to disk");
        return bus_call_manager(c, "Failed to reload systemd", "Reload", NULL, "");
}

static int is_pending(Context *c, const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *unit = undo_unit(name);
        const char *state;
        int r;

        if (!unit)
                return log_oom();
        r = bus_call_manager(c, "Failed to look at the update", "GetUnitFileState", &reply, "s", unit);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &state);
        return r < 0 ? r : streq(state, "enabled");
}

/* --- mctl itself ---------------------------------------------------------------------------------------------------- */

/* Runs it with these words until then, with what it prints to that descriptor where that is not negative. Returns its exit status;
 * -ETIMEDOUT. */
static int run_self(const char *const *words, int output_fd, uint64_t until)
{
        siginfo_t end = {};
        pid_t pid = fork();

        if (pid < 0)
                return log_error_errno(-errno, "Failed to fork");
        if (pid == 0) {
                if (output_fd >= 0 &&
                    (dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0))
                        _exit(EXIT_STATUS_NOT_RUN);
                execv("/proc/self/exe", (char *const *) words);
                _exit(EXIT_STATUS_NOT_RUN);
        }
        _cleanup_close_ int pid_fd = (int) syscall(SYS_pidfd_open, pid, 0);
        for (;;) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                int left = until == UINT64_MAX ? -1
                           : until <= now      ? 0
                                               : (int) ((until - now) / USEC_PER_MSEC) + 1;
                int r = pid_fd < 0 ? -errno
                                   : RET_NERRNO(poll(&(struct pollfd){ pid_fd, POLLIN, 0 }, 1, left));
                if (r == -EINTR)
                        continue;
                if (r <= 0)
                        (void) kill(pid, SIGKILL);
                while (waitid(P_PID, (id_t) pid, &end, WEXITED) < 0 && errno == EINTR)
                        ;
                return r < 0                       ? r
                       : r == 0                    ? -ETIMEDOUT
                       : end.si_code == CLD_EXITED ? end.si_status
                                                   : EXIT_STATUS_FAILURE;
        }
}

/* Waits for the job that a call answered with. What fails has been logged. */
static int wait_for_job(Context *c, Jobs *jobs, const char *job, const Subject *s, uint64_t until)
{
        int r = jobs_add(jobs, job, s->unit, s->name);

        if (r >= 0)
                r = jobs_wait_until(c, jobs, until);
        if (r == -ETIMEDOUT)
                return log_error_return(r, "Machine '%s' did not come up in time.", s->name);
        return r < 0 ? r : jobs_report_start(c, jobs) == 0 ? 0 : -EIO;
}

static int restart(Context *c, const Subject *s, uint64_t until)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        const char *job;
        int r = jobs_watch(c, &jobs);

        if (r >= 0)
                r = bus_call_manager(c, "Not restarted", "RestartUnit", &reply, "ss", s->unit, "replace");
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job);
        return r < 0 ? r : wait_for_job(c, &jobs, job, s, until);
}

static int power_off(const Subject *s)
{
        int r = run_self((const char *const[]){ "mctl", "-q", "poweroff", s->name, NULL }, -EBADF,
                         UINT64_MAX);

        return r > 0 ? -EIO : r;
}

/* The unit of a machine that has no file is gone when it fails, with all that it was told: so it is made anew. */
static int start_anew(Context *c, const Subject *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        const char *unit, *job;
        json_t *machine = NULL;
        int r = bus_find_machine(c, s->name, &machine);

        if (r >= 0 && machine && !streq_ptr(json_text(machine, "State"), "failed"))
                r = power_off(s);
        json_decref(machine);
        if (r >= 0)
                r = jobs_watch(c, &jobs);
        if (r >= 0)
                r = bus_call_registry(c, "Not started", "StartMachine", &reply, "s", s->spec);
        if (r >= 0)
                r = start_read_reply(reply, &unit, &job);
        return r < 0 ? r : wait_for_job(c, &jobs, job, s, UINT64_MAX);
}

/* One that is off. */
static int start(const Subject *s, uint64_t until)
{
        const char *const words[] = { "mctl", "-q", "start", s->name, NULL }, *const boot[] = {
                "mctl", "-q", "boot", s->image, "--name", s->name, NULL
        };
        _cleanup_free_ char *file = NULL;
        int r = run_self(spec_find_file(s->name, &file) >= 0 ? words : boot, -EBADF, until);

        if (r == -ETIMEDOUT)
                log_error("Machine '%s' did not come up in time.", s->name);
        return r > 0 ? -EIO : r;
}

/* --- an update ------------------------------------------------------------------------------------------------------ */

static int has_snapshot(Context *c, const Subject *s, const char *label)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        bool found = false;
        const char *name;
        int r = bus_call_registry(c, "Not updated", "ListSnapshots", &reply, "s", s->image);

        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(st)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(st)", &name, NULL)) > 0)
                found = found || streq(name, label);
        return r < 0 ? log_error_errno(r, "Failed to list snapshots") : found;
}

static int remove_snapshot(Context *c, const Subject *s, const char *label)
{
        int r = has_snapshot(c, s, label);

        return r <= 0 ? r
                      : bus_call_registry(c, "Failed to remove a snapshot", "RemoveSnapshot", NULL, "ss",
                                          s->image, label);
}

static void print_output(int fd)
{
        char text[HEALTH_OUTPUT_MAX];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        _cleanup_free_ char *shown = NULL;

        if (n <= 0)
                return;
        text[n] = 0;
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                free(shown);
                shown = str_escape(line);
                fprintf(stderr, "    %s\n", strna(shown));
        }
}

/* The command is tried until it does well. */
static int wait_health(const Subject *s, const char *health, uint64_t until)
{
        const char *const words[] = { "mctl", "exec", s->name, "/bin/sh", "-c", health, NULL };
        _cleanup_close_ int fd = memfd_create("health", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return log_error_errno(-errno, "Failed to make a file for what the health command says");
        for (;;) {
                r = ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ? -errno : run_self(words, fd, until);
                if (r <= 0 || now_usec(CLOCK_MONOTONIC) + HEALTH_STEP_USEC >= until)
                        break;
                (void) usleep(HEALTH_STEP_USEC);
        }
        if (r == 0)
                return 0;
        if (r == -ETIMEDOUT)
                log_error("Machine '%s' is not healthy: the command did not end in time.", s->name);
        else if (r > 0)
                log_error("Machine '%s' is not healthy: the command ended with status %i.", s->name, r);
        print_output(fd);
        return r < 0 ? r : -EIO;
}

int verb_update_run(Context *c, char **args)
{
        const char *name = args[0], *image = args[1], *health = args[2];
        _cleanup_subject_ Subject s = {};
        uint64_t timeout, until;
        int r;

        if (parse_u64(args[3], 1, INT32_MAX, &timeout) < 0)
                return EXIT_STATUS_USAGE;
        r = find_subject(c, name, &s);
        if (r >= 0)
                r = remove_snapshot(c, &s, LABEL_BEFORE);
        if (r >= 0)
                r = set_pending(c, name, true);
        if (r >= 0)
                r = bus_call_registry(c, "Not updated", "ReplaceImage", NULL, "sss", s.image, image,
                                      LABEL_BEFORE);
        if (r < 0)
                return r;
        printf("Machine '%s' %sstarts with what image '%s' has.\n", name, s.unit ? "re" : "", image);
        fflush(stdout);
        until = now_usec(CLOCK_MONOTONIC) + timeout * USEC_PER_SEC;
        r = s.unit ? restart(c, &s, until) : start(&s, until);
        if (r >= 0 && !isempty(health))
                r = wait_health(&s, health, until);
        if (r < 0)
                return r;
        r = set_pending(c, name, false);
        if (r < 0)
                return r;
        printf("Machine '%s' is up%s. Snapshot '" LABEL_BEFORE "' has what it was before.\n", name,
               isempty(health) ? "" : " and healthy");
        /* It was off. */
        return s.unit ? 0 : power_off(&s);
}

/* What was before the update, and what did not do is a snapshot. One that was killed over it may have done it. */
static int put_back(Context *c, const Subject *s)
{
        int r = has_snapshot(c, s, LABEL_BEFORE);

        if (r <= 0)
                return r;
        r = bus_call_registry(c, "Not undone", "RevertImage", NULL, "sss", s->image, LABEL_BEFORE,
                              LABEL_FAILED);
        if (r < 0)
                return r;
        log_error("The update is undone. Snapshot '" LABEL_FAILED "' of image '%s' has what did not do.",
                  s->image);
        return remove_snapshot(c, s, LABEL_BEFORE);
}

/* With the unit that it ran as before, and with its spec. */
int verb_update_undo(Context *c, char **args)
{
        const char *name = args[0], *unit = args[1], *spec = unit ? args[2] : NULL;
        _cleanup_subject_ Subject s = {};
        int r = is_pending(c, name);

        if (r <= 0)
                return r;
        r = find_subject(c, name, &s);
        if (r >= 0)
                r = remove_snapshot(c, &s, LABEL_FAILED);
        if (r >= 0)
                r = put_back(c, &s);
        if (r >= 0)
                r = set_pending(c, name, false);
        if (r < 0)
                return r;
        if (isempty(unit))
                return s.unit ? power_off(&s) : 0;
        if (free_and_strdup(&s.unit, unit) < 0 || free_and_strdup(&s.spec, strna(spec)) < 0)
                return log_oom();
        return isempty(spec) ? restart(c, &s, UINT64_MAX) : start_anew(c, &s);
}

/* --- mctl update ---------------------------------------------------------------------------------------------------- */

/* In the words of a command, systemd replaces variables. What it calls ExecStartEx= would not, but is lost when it reloads. */
static char *escape_word(const char *word)
{
        char *text = malloc(2 * strlen(word) + 1), *p = text;

        for (; p && *word; word++) {
                *p++ = *word;
                if (*word == '$')
                        *p++ = '$';
        }
        if (p)
                *p = 0;
        return text;
}

static int append_command(sd_bus_message *m, const char *property, const char *const *words)
{
        _cleanup_strv_ Strv escaped = NULL;
        int r = 0;

        for (size_t i = 0; words[i] && r >= 0; i++)
                r = strv_consume(&escaped, escape_word(words[i]));
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", property);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", words[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, escaped);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", false);
        for (size_t i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int make_request(Context *c, const Subject *s, const char *unit, const char *image,
                        sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *self = realpath("/proc/self/exe", NULL),
                            *what = strf("Update of machine %s to image %s", s->name, image);
        const char *const run[] = { self,  "update-run",    s->name,
                                    image, c->health ?: "", c->timeout ?: TIMEOUT,
                                    NULL },
                          *const undo[] = {
                                  self, "update-undo", s->name, s->unit ?: "", s->spec ?: "", NULL
                          };
        int r;

        if (!self || !what)
                return log_oom();
        r = sd_bus_message_new_method_call(c->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", what, "Type",
                                          "s", "oneshot", "CollectMode", "s", "inactive-or-failed",
                                          "TimeoutStopUSec", "t", UNDO_TIMEOUT_USEC,
                                          "StandardOutputFileDescriptor", "h", STDOUT_FILENO,
                                          "StandardErrorFileDescriptor", "h", STDERR_FILENO);
        if (r >= 0)
                r = append_command(m, "ExecStart", run);
        if (r >= 0)
                r = append_command(m, "ExecStopPost", undo);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0)
                return log_error_errno(r, "Failed to make a message");
        *ret = TAKE_PTR(m);
        return 0;
}

/* -EBUSY where another one is active. systemd may know one that has ended for a moment more. */
static int start_unit(Context *c, const Subject *s, const char *unit, sd_bus_message **ret)
{
        for (unsigned i = 0;; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                json_t *properties = NULL;
                int r = make_request(c, s, unit, c->to, &m);

                if (r >= 0)
                        r = sd_bus_call(c->bus, m, 0, &error, ret);
                if (r >= 0)
                        return 0;
                if (!sd_bus_error_has_name(&error, "org.freedesktop.systemd1.UnitExists"))
                        return log_error_return(r, "Not updated: %s", error.message ?: strerror(-r));
                r = bus_get_unit(c, unit, &properties);
                bool active = r < 0 || !streq_ptr(json_text(properties, "ActiveState"), "inactive");
                json_decref(properties);
                if (active || i == FORGET_TRIES)
                        return r < 0 ? r : -EBUSY;
                (void) usleep(FORGET_STEP_USEC);
        }
}

int verb_update(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        _cleanup_subject_ Subject s = {};
        _cleanup_free_ char *unit = NULL;
        uint64_t seconds;
        const char *job;
        int r;

        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (!c->to)
                return log_error("Say which image it is to have, with --to=IMAGE."), EXIT_STATUS_USAGE;
        if (c->timeout && parse_u64(c->timeout, 1, INT32_MAX, &seconds) < 0)
                return log_error("--timeout= takes a number of seconds, not '%s'.", c->timeout),
                       EXIT_STATUS_USAGE;
        r = find_subject(c, args[0], &s);
        if (r >= 0 && s.waits)
                r = log_error_return(-EBUSY, "Machine '%s' is about to start; update it when it is up.",
                                     s.name);
        if (r >= 0)
                r = jobs_watch(c, &jobs);
        unit = strf("mctl-update-%s.service", args[0]);
        if (!unit)
                return log_oom();
        if (r < 0)
                return r;
        r = start_unit(c, &s, unit, &reply);
        if (r == -EBUSY)
                return log_error_return(r, "An update of machine '%s' is under way.", args[0]);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = jobs_add(&jobs, job, unit, args[0]);
        if (r >= 0)
                r = jobs_wait(c, &jobs);
        return r < 0 ? r : streq(strna(jobs.items[0].result), "done") ? 0 : EXIT_STATUS_FAILURE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Updates that undo themselves.
 *
 * "mctl update" has them done by a unit of its own, mctl-update-IMAGE.service, so they outlive who asked for them, and there is one for an image.
 * "update-run" writes down what is to be done if it fails, puts what another image has in the place of the machine's, which
 * keeps what it was as the snapshot LABEL_TRIAL, and starts the machine with that. Once it is found to be good, the snapshot gets another name:
 * that is the moment from which on it is not undone. Whatever becomes of that, "update-undo" runs behind it, by
 * ExecStopPost=, and for all that is written down when the host comes up, before its machines do, by mctl-undo.service. */

#include <inttypes.h>
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

/* Of an image: what it was before an update that is not found to be good yet; before its last one; and what did not do in that. */
#define LABEL_TRIAL  "update-trial"
#define LABEL_BEFORE "before-update"
#define LABEL_FAILED "failed-update"

/* A file for each image: {"name": of the machine, "runs": whether it did, "spec": with which, where it has no file}. Specs may have
 * secrets. */
#define UPDATES_DIR "/var/lib/mctl/updates"
#define UPDATE_MAX  (2U * 1024U * 1024U)

#define FORGET_TRIES     50U
#define FORGET_STEP_USEC (20 * USEC_PER_MSEC)

#define WORKER_WAIT_USEC  (10 * 60 * USEC_PER_SEC)
#define WORKER_STEP_USEC  (100 * USEC_PER_MSEC)
#define HEALTH_STEP_USEC  USEC_PER_SEC
#define HEALTH_OUTPUT_MAX 4096U
#define UNDO_TIMEOUT_USEC (20 * 60 * USEC_PER_SEC)
#define TIMEOUT           "90" /* s */

/* --- the machine ---------------------------------------------------------------------------------------------------- */

typedef struct Updated {
        char *name, *image; /* in the store */
        bool runs;
        char *spec; /* with which it was started, where it has no file; or "" */
} Updated;

static void updated_clear(Updated *s)
{
        free(s->name);
        free(s->image);
        free(s->spec);
}
#define _cleanup_updated_ _cleanup_(updated_clear)

static int read_spec(Context *c, Updated *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r = bus_ask_registry(c, "Not updated", "GetMachineSpec", &reply, "s", s->name);

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return r;
        return free_and_strdup(&s->spec, text) < 0 ? log_oom() : 0;
}

/* What it runs from, or would. A machine without a file is booted from the image that is called like it. */
static int find_updated(Context *c, const char *name, Updated *ret)
{
        _cleanup_free_ char *file = NULL;
        _cleanup_spec_ Spec *spec = NULL;
        const char *image = name;
        json_t *machine = NULL;
        int r = bus_find_machine(c, name, &machine);

        if (r < 0)
                return r;
        bool runs = machine && !streq_ptr(json_text(machine, "State"), "failed");
        if (runs)
                image = json_text(machine, "Image");
        else if (spec_find_file(name, &file) >= 0) {
                r = config_effective_spec(c, name, &spec);
                image = r < 0 ? NULL : spec->image ?: name;
        }
        if (r >= 0 && (isempty(image) || strchr(image, '/')))
                r = log_error_return(-EOPNOTSUPP, "Machine '%s' is not of an image of the store.", name);
        /* There is a unit of its name. */
        else if (r >= 0 && !machine_name_valid(image))
                r = log_error_return(-EOPNOTSUPP,
                                     "Only an image with the name of a machine can be updated, not '%s'.",
                                     image);
        if (r >= 0) {
                *ret = (Updated){ strdup(name), strdup(image), runs, strdup("") };
                r = ret->name && ret->image && ret->spec ? 0 : log_oom();
                if (r >= 0 && runs && startswith(strna(json_text(machine, "Unit")), "machine-"))
                        r = read_spec(c, ret);
        }
        json_decref(machine);
        return r;
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

/* Whether the image has a snapshot of that name: 1, or 0. */
static int has_snapshot(Context *c, const char *what, const char *image, const char *label)
{
        json_t *snapshots, *snapshot;
        bool found = false;
        size_t i;
        int r = bus_list_snapshots(c, what, image, &snapshots);

        if (r < 0)
                return r;
        json_array_foreach (snapshots, i, snapshot)
                found = found || streq(json_text(snapshot, "name"), label);
        json_decref(snapshots);
        return found;
}

/* --- what is written down ------------------------------------------------------------------------------------------- */

static int open_updates(void)
{
        int fd = dir_open_or_make_at(AT_FDCWD, UPDATES_DIR, 0700);

        return fd < 0 ? log_error_errno(fd, "Failed to open '" UPDATES_DIR "'") : fd;
}

static int write_down(const Updated *u)
{
        json_t *json = json_pack("{ss sb ss}", "name", u->name, "runs", u->runs, "spec", u->spec);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
        int r;

        json_decref(json);
        if (!text)
                return log_oom();
        _cleanup_close_ int dir_fd = open_updates();
        if (dir_fd < 0)
                return dir_fd;
        r = file_write_atomic_at(dir_fd, u->image, 0600, text, strlen(text));
        if (r >= 0)
                r = RET_NERRNO(syncfs(dir_fd));
        return r < 0 ? log_error_errno(r, "Failed to write '" UPDATES_DIR "/%s'", u->image) : 0;
}

/* -ENOENT where there is nothing. */
static int read_back(int dir_fd, const char *image, Updated *ret)
{
        _cleanup_free_ char *text = NULL;
        const char *name, *spec;
        int runs, r = file_read_at(dir_fd, image, UPDATE_MAX, &text, NULL);

        if (r < 0)
                return r == -ENOENT ? r : log_error_errno(r, "Failed to read '" UPDATES_DIR "/%s'", image);
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        r = json_unpack(json, "{ss sb ss}", "name", &name, "runs", &runs, "spec", &spec) < 0 ||
                            !machine_name_valid(name)
                    ? log_error_return(-EBADMSG, "'" UPDATES_DIR "/%s' is not as mctl writes it.", image)
                    : 0;
        if (r >= 0) {
                *ret = (Updated){ strdup(name), strdup(image), runs, strdup(spec) };
                r = ret->name && ret->image && ret->spec ? 0 : log_oom();
        }
        json_decref(json);
        return r;
}

static int cross_out(const Updated *u)
{
        _cleanup_close_ int dir_fd = open_updates();

        if (dir_fd < 0)
                return dir_fd;
        if (unlinkat(dir_fd, u->image, 0) < 0 && errno != ENOENT)
                return log_error_errno(-errno, "Failed to remove '" UPDATES_DIR "/%s'", u->image);
        return 0;
}

/* --- off and on ----------------------------------------------------------------------------------------------------- */

static int power_off(const Updated *u)
{
        int r = run_self((const char *const[]){ "mctl", "-q", "poweroff", u->name, NULL }, -EBADF,
                         UINT64_MAX);

        return r > 0 ? -EIO : r;
}

/* Whether it has processes; one that waits for its start, as when the host comes up, has none. */
static int is_there(Context *c, const Updated *u)
{
        json_t *machine = NULL;
        int r = bus_find_machine(c, u->name, &machine);
        bool there = r >= 0 && machine && !streq_ptr(json_text(machine, "State"), "failed") &&
                     json_number(machine, "Leader") > 0;

        json_decref(machine);
        return r < 0 ? r : there;
}

static int make_off(Context *c, const Updated *u)
{
        int r = is_there(c, u);

        return r <= 0 ? r : power_off(u);
}

/* Of a machine that was off, and has no file. */
static char *make_spec(const Updated *u)
{
        json_t *json = json_pack("{ss s{ss}}", "Name", u->name, "Image", "Image", u->image);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

        json_decref(json);
        return text;
}

/* Starts it as it was, and waits until it is up, or until then. The unit of a machine that has no file is gone with it: it is made anew. What
 * fails has been logged. */
static int start(Context *c, const Updated *u, uint64_t until)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *unit = NULL, *file = NULL, *spec = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        const char *job, *started;
        int r = jobs_watch(c, &jobs);

        bool template = isempty(u->spec) && spec_find_file(u->name, &file) >= 0;
        unit = machine_unit_name(template ? MACHINE_UNIT_TEMPLATE : MACHINE_UNIT_TRANSIENT, u->name);
        spec = isempty(u->spec) ? make_spec(u) : strdup(u->spec);
        if (!unit || !spec)
                return log_oom();
        if (r >= 0)
                r = template ? bus_call_manager(c, "Not started", "StartUnit", &reply, "ss", unit, "replace")
                             : bus_call_registry(c, "Not started", "StartMachine", &reply, "s", spec);
        if (r >= 0)
                r = template ? sd_bus_message_read(reply, "o", &job)
                             : start_read_reply(reply, &started, &job);
        if (r >= 0)
                r = jobs_add(&jobs, job, unit, u->name);
        if (r >= 0)
                r = jobs_wait_until(c, &jobs, until);
        if (r == -ETIMEDOUT)
                return log_error_return(r, "Machine '%s' did not come up in time.", u->name);
        return r < 0 ? r : jobs_report_start(c, &jobs) == 0 ? 0 : -EIO;
}

/* --- an update ------------------------------------------------------------------------------------------------------ */

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
static int wait_health(const Updated *s, const char *health, uint64_t until)
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

/* What "mctl update" has put there for us. */
static int read_order(json_t **ret)
{
        _cleanup_free_ char *text = NULL;
        int r = fd_read_all(STDIN_FILENO, UPDATE_MAX, &text, NULL);

        if (r < 0)
                return log_error_errno(r, "Failed to read what is to be done");
        *ret = json_loads(text, 0, NULL);
        return *ret ? 0 : log_error_return(-EBADMSG, "Only 'mctl update' runs this.");
}

static int update(Context *c, const Updated *u, const char *to, const char *health, uint64_t timeout)
{
        uint64_t until;
        int r = write_down(u);

        if (r >= 0)
                r = bus_call_registry(c, "Not updated", "ReplaceImage", NULL, "sss", u->image, to,
                                      LABEL_TRIAL);
        if (r >= 0 && u->runs)
                r = power_off(u);
        until = now_usec(CLOCK_MONOTONIC) + timeout * USEC_PER_SEC;
        if (r >= 0)
                r = start(c, u, until);
        if (r >= 0 && !isempty(health))
                r = wait_health(u, health, until);
        if (r >= 0)
                r = bus_call_registry(c, "Not updated", "RenameSnapshot", NULL, "sss", u->image, LABEL_TRIAL,
                                      LABEL_BEFORE);
        if (r < 0)
                return r;
        /* From here on, it is good. */
        (void) cross_out(u);
        if (!u->runs)
                (void) power_off(u);
        return 0;
}

int verb_update_run(Context *c, char **args)
{
        const char *name, *to, *health;
        _cleanup_updated_ Updated u = {};
        json_t *order = NULL;
        json_int_t timeout;
        int r = read_order(&order);

        (void) args;
        if (r >= 0 && json_unpack(order, "{ss ss ss sI}", "name", &name, "to", &to, "health", &health,
                                  "timeout", &timeout) < 0)
                r = log_error_return(-EBADMSG, "Only 'mctl update' runs this.");
        if (r >= 0)
                r = find_updated(c, name, &u);
        if (r >= 0)
                r = update(c, &u, to, health, (uint64_t) timeout);
        json_decref(order);
        return r;
}

/* --- and back ------------------------------------------------------------------------------------------------------- */

/* Who was killed may have left a worker that is about to replace the image. */
static int wait_for_worker(Context *c, const char *image)
{
        _cleanup_free_ char *wanted = strf("replace image '%s'", image);
        uint64_t until = now_usec(CLOCK_MONOTONIC) + WORKER_WAIT_USEC;
        bool found = true;
        int r = 0;

        if (!wanted)
                return log_oom();
        while (r >= 0 && found && now_usec(CLOCK_MONOTONIC) < until) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                const char *description;
                found = false;
                r = bus_call_manager(c, "Failed to list units", "ListUnitsByPatterns", &reply, "asas", 2,
                                     "active", "activating", 1, "mctl-work-*");
                if (r >= 0)
                        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
                while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", NULL, &description, NULL,
                                                          NULL, NULL, NULL, NULL, NULL, NULL, NULL)) > 0)
                        found = found || streq(description, wanted);
                if (found)
                        (void) usleep(WORKER_STEP_USEC);
        }
        return r < 0   ? r
               : found ? log_error_return(-EBUSY, "Image '%s' is still being replaced.", image)
                       : 0;
}

/* Where the image was not replaced, or that was found to be good, the machine is left alone. */
static int undo(Context *c, const Updated *u)
{
        int r = wait_for_worker(c, u->image);

        if (r >= 0)
                r = has_snapshot(c, "Not undone", u->image, LABEL_TRIAL);
        if (r <= 0)
                return r < 0 ? r : cross_out(u);
        r = make_off(c, u);
        if (r >= 0)
                r = bus_call_registry(c, "Not undone", "RevertImage", NULL, "sss", u->image, LABEL_TRIAL,
                                      LABEL_FAILED);
        if (r >= 0)
                r = cross_out(u);
        if (r < 0)
                return r;
        if (u->runs)
                r = start(c, u, UINT64_MAX);
        log_error("The update of image '%s' is undone. Its snapshot '" LABEL_FAILED "' has what did not do.",
                  u->image);
        return r;
}

static int undo_image(Context *c, int dir_fd, const char *image, bool booting)
{
        _cleanup_updated_ Updated u = {};
        int r = read_back(dir_fd, image, &u);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        /* When the host comes up, others start what is to run. */
        u.runs = u.runs && !booting;
        return undo(c, &u);
}

static char *update_unit_name(const char *image)
{
        return strf("mctl-update-%s.service", image);
}

static int is_under_way(Context *c, const char *image)
{
        _cleanup_free_ char *unit = update_unit_name(image);
        json_t *properties = NULL;
        int r = unit ? bus_get_unit(c, unit, &properties) : log_oom();
        bool active = r >= 0 && !streq_ptr(json_text(properties, "ActiveState"), "inactive") &&
                      !streq_ptr(json_text(properties, "ActiveState"), "failed");

        json_decref(properties);
        return r < 0 ? r : active;
}

/* Of one image, or of all that somebody was killed over. */
int verb_update_undo(Context *c, char **args)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int status = 0, dir_fd = open_updates();

        if (dir_fd < 0)
                return dir_fd;
        dir = fdopendir(dir_fd);
        if (!dir) {
                fd_close(dir_fd);
                return log_oom();
        }
        if (args[0])
                return undo_image(c, dir_fd, args[0], false);
        for (struct dirent *e; (e = readdir(dir));) {
                if (!image_name_valid(e->d_name))
                        continue;
                int r = is_under_way(c, e->d_name);
                if (r == 0)
                        r = undo_image(c, dir_fd, e->d_name, true);
                if (r < 0)
                        status = EXIT_STATUS_FAILURE;
        }
        return status;
}

/* --- mctl update ---------------------------------------------------------------------------------------------------- */

static int append_command(sd_bus_message *m, const char *property, const char *const *words)
{
        int r = sd_bus_message_open_container(m, 'r', "sv");

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
                r = sd_bus_message_append_strv(m, (char **) words);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", false);
        for (size_t i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

/* A file that nobody else has. */
static int make_order(Context *c, const char *name)
{
        uint64_t timeout = 0;

        (void) parse_u64(c->timeout ?: TIMEOUT, 1, INT32_MAX, &timeout);
        json_t *json = json_pack("{ss ss ss sI}", "name", name, "to", c->to, "health", c->health ?: "",
                                 "timeout", (json_int_t) timeout);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

        json_decref(json);
        if (!text)
                return log_oom();
        _cleanup_close_ int fd = memfd_create("mctl-update", MFD_CLOEXEC);
        int r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        return r < 0 ? log_error_errno(r, "Failed to write down what is to be done") : TAKE_FD(fd);
}

static int make_request(Context *c, const Updated *u, const char *unit, int order_fd, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *what = strf("Update of machine %s to image %s", u->name, c->to);
        const char *const run[] = { MCTL, "update-run", NULL }, *const undo[] = { MCTL, "update-undo",
                                                                                  u->image, NULL };
        int r;

        if (!what)
                return log_oom();
        r = sd_bus_message_new_method_call(c->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(
                        m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", what, "Type", "s", "oneshot",
                        "CollectMode", "s", "inactive-or-failed", "TimeoutStopUSec", "t", UNDO_TIMEOUT_USEC,
                        "StandardInputFileDescriptor", "h", order_fd, "StandardOutputFileDescriptor", "h",
                        STDOUT_FILENO, "StandardErrorFileDescriptor", "h", STDERR_FILENO);
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

static int error_under_way(const char *image)
{
        return log_error_return(-EBUSY, "An update of image '%s' is under way.", image);
}

/* systemd may know one that has ended for a moment more. */
static int start_unit(Context *c, const Updated *u, const char *unit, sd_bus_message **ret)
{
        _cleanup_close_ int order_fd = make_order(c, u->name);

        if (order_fd < 0)
                return order_fd;
        for (unsigned i = 0;; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                int r = make_request(c, u, unit, order_fd, &m);
                if (r < 0)
                        return r;
                r = sd_bus_call(c->bus, m, 0, &error, ret);
                if (r >= 0)
                        return 0;
                if (!sd_bus_error_has_name(&error, "org.freedesktop.systemd1.UnitExists"))
                        return log_error_return(r, "Not updated: %s", error.message ?: strerror(-r));
                r = is_under_way(c, u->image);
                if (r != 0 || i == FORGET_TRIES)
                        return r < 0 ? r : error_under_way(u->image);
                (void) usleep(FORGET_STEP_USEC);
        }
}

/* Whether another one is under way, or was not undone. */
static int check_settled(Context *c, const char *image)
{
        int r = is_under_way(c, image);

        if (r != 0)
                return r < 0 ? r : error_under_way(image);
        r = has_snapshot(c, "Not updated", image, LABEL_TRIAL);
        return r <= 0 ? r
                      : log_error_return(
                                -EEXIST,
                                "An update of image '%s' was not undone yet: 'mctl update-undo %s' does.",
                                image, image);
}

static int report(Context *c, const Updated *u)
{
        if (c->output != OUTPUT_TEXT)
                return output_json(c, json_pack("{ss ss ss ss}", "machine", u->name, "image", u->image, "to",
                                                c->to, "snapshot", LABEL_BEFORE));
        if (!c->quiet)
                printf("Machine '%s' %s up%s with what image '%s' has. Snapshot '" LABEL_BEFORE
                       "' has what it was before.\n",
                       u->name, u->runs ? "is" : "was", isempty(c->health) ? "" : " and healthy", c->to);
        return 0;
}

int verb_update(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        _cleanup_updated_ Updated u = {};
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
        r = find_updated(c, args[0], &u);
        if (r >= 0)
                r = check_settled(c, u.image);
        if (r >= 0)
                r = jobs_watch(c, &jobs);
        if (r < 0)
                return r;
        unit = update_unit_name(u.image);
        if (!unit)
                return log_oom();
        r = start_unit(c, &u, unit, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = jobs_add(&jobs, job, unit, args[0]);
        if (r >= 0)
                r = jobs_wait(c, &jobs);
        if (r < 0)
                return r;
        return streq(strna(jobs.items[0].result), "done") ? report(c, &u) : EXIT_STATUS_FAILURE;
}

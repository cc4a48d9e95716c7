/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "update/machine.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/names.h"
#include "basic/time.h"
#include "client/client.h"
#include "client/jobs.h"
#include "client/objects.h"
#include "spec/enter.h"
#include "state/spec-load.h"

#define HEALTH_STEP_USEC  USEC_PER_SEC
#define HEALTH_OUTPUT_MAX 4096U

/* --- off and on ---------------------------------------------------------------------------------------- */

int update_machine_power_off(sd_bus *bus, const char *name, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        const char *job = NULL;
        int r = jobs_watch(&jobs, bus, ret_error);

        if (r >= 0)
                r = client_call(bus, CLIENT_CHANGE, &client_registry, "PowerOffMachine", &reply, ret_error,
                                "s", name);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job);
        if (r < 0 || streq(job, "/"))
                return r;
        r = jobs_add(&jobs, job, "", name);
        if (r >= 0)
                r = jobs_wait(&jobs, UINT64_MAX, ret_error);
        if (r < 0 || streq_ptr(jobs.items[0].result, "done"))
                return r;
        return set_failure(ret_error, -EIO,
                           "Machine '%s' did not stop: the stop job ended with result '%s'.", name,
                           strna(jobs.items[0].result));
}

int update_machine_make_off(sd_bus *bus, const char *name, char **ret_error)
{
        json_t *machine;
        int r = client_find_machine(bus, name, &machine, ret_error);

        if (r < 0)
                return r;
        bool there = machine && !streq_ptr(json_text(machine, "State"), "failed") &&
                     json_number(machine, "Leader") > 0;
        json_decref(machine);
        return there ? update_machine_power_off(bus, name, ret_error) : 0;
}

/* The spec for a machine that was off and has no machine file. */
static char *make_spec(const UpdateRecord *record)
{
        json_t *json = json_pack("{ss s{ss}}", "Name", record->name, "Image", "Image", record->image);
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

        json_decref(json);
        return text;
}

/* Starts a machine without a machine file, and returns the job, which is valid as long as the reply. */
static int start_transient(sd_bus *bus, const UpdateRecord *record, sd_bus_message **ret_reply,
                           const char **ret_job, char **ret_error)
{
        _cleanup_free_ char *spec = isempty(record->spec) ? make_spec(record) : strdup(record->spec);
        OOM_CHECK(spec);
        int r = client_call(bus, CLIENT_CHANGE, &client_registry, "StartMachine", ret_reply, ret_error, "s",
                            spec);

        return r < 0 ? r : sd_bus_message_read(*ret_reply, "oso", NULL, NULL, ret_job);
}

static int start_template(sd_bus *bus, const char *unit, sd_bus_message **ret_reply, const char **ret_job,
                          char **ret_error)
{
        int r = client_call(bus, CLIENT_CHANGE, &client_systemd, "StartUnit", ret_reply, ret_error, "ss",
                            unit, "replace");

        return r < 0 ? r : sd_bus_message_read(*ret_reply, "o", ret_job);
}

static int describe_failure(sd_bus *bus, const struct Job *job, char **ret_error)
{
        _cleanup_free_ char *why = NULL;
        json_t *unit = NULL;

        if (streq_ptr(job->result, "failed") && client_get_unit(bus, job->unit, &unit, &why) >= 0)
                why = unit_describe_failure(unit);
        json_decref(unit);
        return set_failure(ret_error, -EIO, "Machine '%s' did not come up: %s.", job->name,
                           why ?: strna(job->result));
}

/* When a machine without a machine file stops, its unit is gone. The unit is made anew. */
int update_machine_start(const Scope *scope, sd_bus *bus, const UpdateRecord *record, uint64_t until,
                         char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *unit = NULL, *file = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        const char *job = NULL;
        int r = jobs_watch(&jobs, bus, ret_error);

        if (r < 0)
                return r;
        bool template = isempty(record->spec) && spec_find_file(scope, record->name, &file) >= 0;
        unit = machine_unit_name(template ? MACHINE_UNIT_TEMPLATE : MACHINE_UNIT_TRANSIENT, record->name);
        OOM_CHECK(unit);
        r = template ? start_template(bus, unit, &reply, &job, ret_error)
                     : start_transient(bus, record, &reply, &job, ret_error);
        if (r >= 0)
                r = jobs_add(&jobs, job, unit, record->name);
        if (r >= 0)
                r = jobs_wait(&jobs, until, ret_error);
        if (r == -ETIMEDOUT)
                return set_failure(ret_error, r, "Machine '%s' did not come up in time.", record->name);
        if (r < 0 || streq_ptr(jobs.items[0].result, "done"))
                return r;
        return describe_failure(bus, jobs.items, ret_error);
}

/* --- health -------------------------------------------------------------------------------------------- */

/* Waits for a child until `until`, and then kills it. Returns its exit status, 128 plus the number of a
 * signal, or -ETIMEDOUT. */
static int wait_child(pid_t pid, uint64_t until)
{
        _cleanup_close_ int pid_fd = pidfd_open(pid, 0);
        siginfo_t end = {};
        int r = pid_fd < 0 ? -errno : 0;

        while (r == 0) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                if (now >= until)
                        break;
                r = poll(&(struct pollfd){ pid_fd, POLLIN, 0 }, 1,
                         (int) ((until - now) / USEC_PER_MSEC) + 1);
                if (r < 0)
                        r = errno == EINTR ? 0 : -errno;
        }
        if (r <= 0)
                (void) kill(pid, SIGKILL);
        while (waitid(P_PID, (id_t) pid, &end, WEXITED) < 0 && errno == EINTR)
                ;
        return r < 0                       ? r
               : r == 0                    ? -ETIMEDOUT
               : end.si_code == CLD_EXITED ? end.si_status
                                           : 128 + end.si_status;
}

/* Runs the command once, with its output in a file that is emptied before. */
static int run_command(const Strv command, int output_fd, uint64_t until)
{
        if (ftruncate(output_fd, 0) < 0 || lseek(output_fd, 0, SEEK_SET) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid > 0)
                return wait_child(pid, until);
        if (dup2(output_fd, STDOUT_FILENO) >= 0 && dup2(output_fd, STDERR_FILENO) >= 0)
                execv(command[0], command);
        _exit(STATUS_NOT_RUN);
}

/* Returns the last line of the output, escaped, or "". NULL when out of memory. */
static char *read_last_line(int fd)
{
        char text[HEALTH_OUTPUT_MAX + 1];
        off_t size = lseek(fd, 0, SEEK_END);
        off_t from = size > (off_t) HEALTH_OUTPUT_MAX ? size - (off_t) HEALTH_OUTPUT_MAX : 0;
        ssize_t n = pread(fd, text, HEALTH_OUTPUT_MAX, from);

        while (n > 0 && text[n - 1] == '\n')
                n--;
        text[MAX(n, 0)] = 0;
        char *newline = strrchr(text, '\n');
        return str_escape(newline ? newline + 1 : text);
}

/* Sets the text why the machine is not healthy. `status` is the exit status of the last check, or a negative
 * errno. */
static int fail_health(const char *name, int status, int output_fd, char **ret_error)
{
        _cleanup_free_ char *line = read_last_line(output_fd), *said = NULL;

        said = isempty(line) ? strdup("") : strf(" Its last line of output was '%s'.", line);
        OOM_CHECK(said);
        if (status == -ETIMEDOUT)
                return set_failure(ret_error, status,
                                   "Machine '%s' is not healthy: the command did not end in time.%s", name,
                                   said);
        if (status < 0)
                return set_failure_errno(ret_error, status, "Failed to check the health of machine '%s'",
                                         name);
        return set_failure(ret_error, -EIO,
                           "Machine '%s' is not healthy: the command ended with status %i.%s", name, status,
                           said);
}

int update_machine_wait_health(const char *name, const char *command, uint64_t until, char **ret_error)
{
        const EnterRequest request = {
                .machine = name,
                .command = (char *[]){ (char *) "/bin/sh", (char *) "-c", (char *) command, NULL },
        };
        _cleanup_strv_ Strv words = NULL;
        int r = enter_command(&request, &words);

        if (r < 0)
                return r;
        _cleanup_close_ int fd = memfd_create("mctl-health", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (;;) {
                r = run_command(words, fd, until);
                if (r == 0)
                        return 0;
                if (r < 0 || now_usec(CLOCK_MONOTONIC) + HEALTH_STEP_USEC >= until)
                        return fail_health(name, r, fd, ret_error);
                (void) usleep(HEALTH_STEP_USEC);
        }
}

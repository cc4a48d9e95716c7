/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/machine-control.h"

#include <signal.h>

#include "basic/fd.h"
#include "manager/foreign.h"
#include "manager/manager.h"
#include "spec/spec.h"
#include "systemd/unit-request.h"

static DEFINE_SCHEMA(spec_answer, SpecAnswer, FIELD(SpecAnswer, FIELD_STRING, "spec", spec));
static DEFINE_SCHEMA(kill_arguments, KillArguments, FIELD(KillArguments, FIELD_STRING, "whom", whom),
                     FIELD(KillArguments, FIELD_INT, "signal", signal));
static DEFINE_SCHEMA(properties_arguments, PropertiesArguments,
                     FIELD(PropertiesArguments, FIELD_BOOL, "runtime", runtime),
                     FIELD(PropertiesArguments, FIELD_STRINGS, "assignments", assignments));

/* --- ends ---------------------------------------------------------------------------------------------- */

/* A stop that waits until the unit is thawed: systemd 257 and newer stop no frozen unit. */
typedef struct Stop {
        Manager *manager;
        Call *call; /* NULL if no caller waits */
        char *unit;
        bool now; /* kill all processes with SIGKILL */
} Stop;

static void stop_free(Stop *s)
{
        free(s->unit);
        free(s);
}
DEFINE_CLEANUP(Stop *, stop_free);

/* The stop job comes first: the end then counts as requested, and no restart policy starts the machine
 * again. Then comes SIGKILL. */
static int stop_running(Manager *manager, const char *unit, Call *call, bool now)
{
        int r = systemd_stop_unit(manager->systemd, unit, call ? call_answer_job : NULL, call);

        if (r >= 0 && now)
                (void) systemd_kill_unit(manager->systemd, unit, "all", SIGKILL, NULL, NULL);
        return r;
}

static void on_thawed(void *userdata, const sd_bus_error *error, const char *job)
{
        _cleanup_(stop_free_cleanup) Stop *s = userdata;

        (void) error; /* if the unit did not thaw, StopUnit() reports the reason */
        (void) job;
        int r = stop_running(s->manager, s->unit, s->call, s->now);
        if (r < 0 && s->call)
                call_fail_errno(s->call, r, "Failed to stop unit '%s'", s->unit);
}

static int stop_machine(Machine *m, Call *call, bool now)
{
        _cleanup_(stop_free_cleanup) Stop *s = NULL;
        int r;

        if (!m->paused)
                return stop_running(m->manager, m->unit, call, now);
        s = calloc(1, sizeof(Stop));
        OOM_CHECK(s);
        *s = (Stop){ m->manager, call, strdup(m->unit), now };
        OOM_CHECK(s->unit);
        r = systemd_thaw_unit(m->manager->systemd, m->unit, on_thawed, s);
        if (r < 0)
                return r;
        TAKE_PTR(s);
        return 0;
}

/* Sends a signal to the leader. systemd has no job for a signal. */
static int signal_leader(Machine *m, int sig, Call *call)
{
        const JobAnswer none = { (char *) "/" };
        int r = foreign_signal(m, sig);

        if (r < 0)
                return r;
        if (call)
                call_answer(call, call->operation->answer ? &none : NULL);
        return 0;
}

static int power_off(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        return m->foreign ? signal_leader(m, SIGRTMIN + 4, call) : stop_machine(m, call, false);
}

int machine_power_off_quietly(Machine *m)
{
        return m->foreign ? signal_leader(m, SIGRTMIN + 4, NULL) : stop_machine(m, NULL, false);
}

static int reboot(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        return m->foreign ? signal_leader(m, SIGRTMIN + 5, call)
                          : systemd_kill_unit(m->manager->systemd, m->unit, "main", SIGRTMIN + 5,
                                              call_answer_nothing, call);
}

static int terminate(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        if (!m->owns_unit)
                return signal_leader(m, SIGKILL, call);
        m->forget = true;
        return stop_machine(m, call, true);
}

static int kill_machine(Call *call, Machine *m, const void *arguments)
{
        const KillArguments *a = arguments;
        bool leader = streq_ptr(a->whom, "leader");

        if (a->signal < 1 || a->signal > SIGRTMAX) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "There is no signal %i.", a->signal);
                return 0;
        }
        if (!isempty(a->whom) && !leader && !streq(a->whom, "all")) {
                _cleanup_free_ char *shown = call_show(a->whom);
                call_fail(call, ERROR_INVALID_ARGUMENT,
                          "A signal goes to 'leader' or to 'all', not to '%s'.", strna(shown));
                return 0;
        }
        if (m->foreign && (leader || !m->owns_unit))
                return signal_leader(m, a->signal, call);
        return systemd_kill_unit(m->manager->systemd, m->unit, leader ? "main" : "all", a->signal,
                                 call_answer_nothing, call);
}

/* --- while it runs ------------------------------------------------------------------------------------- */

/* Answers the call for a machine in a unit of another program. */
static bool has_no_unit(Call *call, const Machine *m)
{
        if (!m->owns_unit)
                call_fail(call, ERROR_NOT_SUPPORTED, "Machine '%s' has no unit of its own.", m->name);
        return !m->owns_unit;
}

static int pause_machine(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        if (has_no_unit(call, m))
                return 0;
        m->watch_freezer = true;
        return systemd_freeze_unit(m->manager->systemd, m->unit, call_answer_nothing, call);
}

static int resume_machine(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        if (has_no_unit(call, m))
                return 0;
        m->watch_freezer = true;
        return systemd_thaw_unit(m->manager->systemd, m->unit, call_answer_nothing, call);
}

static int set_properties(Call *call, Machine *m, const void *arguments)
{
        const PropertiesArguments *a = arguments;
        _cleanup_unit_request_ UnitRequest *request = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_spec_ Spec *spec = spec_new(NULL);
        int r = 0;

        OOM_CHECK(spec);
        if (has_no_unit(call, m))
                return 0;
        STRV_FOREACH (s, a->assignments)
                if (r >= 0)
                        r = spec_assign_resource(spec, *s, &error);
        if (r >= 0) {
                request = unit_request_set(m->manager->systemd, m->unit, a->runtime);
                OOM_CHECK(request);
                unit_request_add_assignments(request, a->assignments);
                r = unit_request_send(request, call_answer_nothing, call);
        }
        if (r != -EINVAL)
                return r;
        call_fail(call, ERROR_INVALID_ARGUMENT, "%s",
                  error ?: (request ? strna(unit_request_error(request)) : strerror(EINVAL)));
        return 0;
}

static int get_spec(Call *call, Machine *m, const void *arguments)
{
        _cleanup_free_ char *text = NULL;
        int r;

        (void) arguments;
        if (m->foreign) {
                call_fail(call, ERROR_NO_SUCH_MACHINE, "Machine '%s' was not started by mctl.", m->name);
                return 0;
        }
        _cleanup_close_ int machine_fd = machine_dir_open(m->manager->run_fd, m->kind, m->name, false);
        r = machine_fd < 0 ? machine_fd : file_read_at(machine_fd, "spec.json", SPEC_FILE_MAX, &text, NULL);
        if (r == -ENOENT) {
                call_fail(call, ERROR_NO_SUCH_MACHINE, "Machine '%s' does not run.", m->name);
                return 0;
        }
        if (r < 0)
                return r;
        call_answer(call, &(SpecAnswer){ text });
        return 0;
}

static int get_machine(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        call_answer(call, &(MachineAnswer){ m->name });
        return 0;
}

const Operation operation_get_machine = { "get", TARGET_MACHINE, .answer = &machine_answer_schema,
                                          .run = get_machine };
const Operation operation_power_off = { "power-off", TARGET_MACHINE, .answer = &job_answer_schema,
                                        .policy = POLICY_MANAGE, .run = power_off };
const Operation operation_reboot = { "reboot", TARGET_MACHINE, .policy = POLICY_MANAGE, .run = reboot };
const Operation operation_terminate = { "terminate", TARGET_MACHINE, .answer = &job_answer_schema,
                                        .policy = POLICY_MANAGE_OWN, .run = terminate };
const Operation operation_kill = { "kill", TARGET_MACHINE, .arguments = &kill_arguments,
                                   .policy = POLICY_MANAGE_OWN, .run = kill_machine };
const Operation operation_pause = { "pause", TARGET_MACHINE, .policy = POLICY_MANAGE, .run = pause_machine };
const Operation operation_resume = { "resume", TARGET_MACHINE, .policy = POLICY_MANAGE,
                                     .run = resume_machine };
/* Devices are properties of the unit, too. */
const Operation operation_set_properties = { "set-properties", TARGET_MACHINE,
                                             .arguments = &properties_arguments, .policy = POLICY_START,
                                             .run = set_properties };
const Operation operation_get_spec = { "get-spec", TARGET_MACHINE, .answer = &spec_answer,
                                       .policy = POLICY_MANAGE, .run = get_spec };

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/start.h"

#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "manager/answer.h"
#include "manager/machine-unit.h"
#include "manager/machine.h"
#include "manager/worker.h"
#include "systemd/unit-request.h"

/* The greatest number of properties in a call. To check a property takes a search in the introspection data.
 */
#define ASSIGNMENTS_MAX 256U

static DEFINE_SCHEMA(start_arguments, StartArguments, FIELD(StartArguments, FIELD_STRING, "spec", spec));
static DEFINE_SCHEMA(run_arguments, StartArguments, FIELD(StartArguments, FIELD_STRING, "spec", spec),
                     FIELD(StartArguments, FIELD_FD, "stdin", in_fd),
                     FIELD(StartArguments, FIELD_FD, "stdout", out_fd),
                     FIELD(StartArguments, FIELD_FD, "stderr", error_fd));
static DEFINE_SCHEMA(start_answer, StartAnswer, FIELD(StartAnswer, FIELD_MACHINE, "machine", machine),
                     FIELD(StartAnswer, FIELD_STRING, "unit", unit),
                     FIELD(StartAnswer, FIELD_JOB, "job", job),
                     FIELD(StartAnswer, FIELD_STRINGS, "warnings", warnings));
static DEFINE_SCHEMA(plan_answer, PlanAnswer, FIELD(PlanAnswer, FIELD_STRING, "plan", plan));
static DEFINE_SCHEMA(check_arguments, CheckArguments,
                     FIELD(CheckArguments, FIELD_STRINGS, "assignments", assignments));
static DEFINE_SCHEMA(check_answer, CheckAnswer, FIELD(CheckAnswer, FIELD_STRINGS, "problems", problems));

/* A start: facts about the machine that are known before the first side effect. */
struct Start {
        Manager *manager;
        Call *call;
        Spec *spec;
        char *busy; /* why the image cannot be used */
        Strv assignments, warnings;
        char *unit;
        bool sure;    /* the list of machines has been refreshed for this start */
        bool asked;   /* systemd has been asked to unload an earlier unit of the name */
        int stdio[3]; /* standard streams of the payload, owned by the call; negative for the journal */
        Start *next;  /* in the list of starts */
};

static void start_free(Start *start)
{
        (void) LIST_REMOVE(&start->manager->starts, start);
        if (start->spec)
                spec_free(start->spec);
        strv_free(start->assignments);
        strv_free(start->warnings);
        free(start->busy);
        free(start->unit);
        free(start);
}
DEFINE_CLEANUP(Start *, start_free);

bool start_is_pending(const Manager *manager, const char *name)
{
        for (const Start *start = manager->starts; start; start = start->next)
                if (streq(start->spec->name, name))
                        return true;
        return false;
}

/* --- what is to be started ----------------------------------------------------------------------------- */

static int allow_disk(Start *start, const PrepareAnswer *a)
{
        int r;

        if (!a->disk || start->spec->profile == PROFILE_PRIVILEGED)
                return 0;
        r = spec_allow_disks(&start->assignments);
        if (r >= 0 && spec_wants_hashes(start->spec))
                r = spec_need_device_mapper(&start->assignments);
        if (r < 0)
                return r;
        return a->block ? strv_appendf(&start->assignments, "DeviceAllow=%s rw", a->root) : 0;
}

/* Takes ownership of the facts that the child has found. */
static int take_prepared(Start *start, const PrepareAnswer *a)
{
        _cleanup_free_ char *error = NULL;
        int r;

        start->spec = spec_new(NULL);
        OOM_CHECK(start->spec);
        r = spec_from_json_text(start->spec, SPEC_SOURCE_COMMAND, strna(a->spec), &error);
        if (r >= 0)
                r = strv_extend(&start->warnings, a->warnings);
        if (r >= 0 && a->busy)
                r = free_and_strdup(&start->busy, a->busy);
        if (r < 0)
                return log_debug_errno(r, "Failed to understand a spec that was prepared: %s", strna(error));
        start->unit = machine_unit_name(MACHINE_UNIT_TRANSIENT, start->spec->name);
        OOM_CHECK(start->unit);
        r = machine_unit_assignments(start->manager->scope, start->spec, &start->assignments);
        return r < 0 ? r : allow_disk(start, a);
}

static void fail_prepared(Call *call, const WorkResult *result)
{
        static const struct {
                int error;
                ErrorKind kind;
        } kinds[] = {
                { EINVAL, ERROR_INVALID_SPEC },      { ENOENT, ERROR_NO_SUCH_IMAGE },
                { ENOTDIR, ERROR_NO_SUCH_IMAGE },    { ENOEXEC, ERROR_NO_SUCH_IMAGE },
                { EOPNOTSUPP, ERROR_NOT_SUPPORTED },
        };
        Error error = { ERROR_ERRNO, result->error, .message = result->message };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (kinds[i].error == result->error)
                        error = (Error){ .kind = kinds[i].kind, .message = result->message };
        call_fail_error(call, &error);
}

/* --- its directory ------------------------------------------------------------------------------------- */

static void remove_dir(Start *start)
{
        (void) machine_dir_remove(start->manager->run_fd, MACHINE_UNIT_TRANSIENT, start->spec->name);
}

static int dir_exists(Start *start)
{
        _cleanup_close_ int fd = machine_dir_open(start->manager->run_fd, MACHINE_UNIT_TRANSIENT,
                                                  start->spec->name, false);
        return fd == -ENOENT ? 0 : fd < 0 ? fd : 1;
}

static int write_dir(Start *start)
{
        _cleanup_close_ int machine_fd = machine_dir_open(start->manager->run_fd, MACHINE_UNIT_TRANSIENT,
                                                          start->spec->name, true);
        if (machine_fd < 0)
                return machine_fd;
        return machine_spec_write(machine_fd, start->spec);
}

/* --- its unit ------------------------------------------------------------------------------------------ */

static int start_unit(Start *start);

static void fail_exists(Start *start)
{
        call_fail(start->call, ERROR_MACHINE_EXISTS, "Machine '%s' is there already.", start->spec->name);
}

/* Whether the start can go on. If not, the call has been answered. */
static bool go_on(Start *start, int r)
{
        if (r < 0)
                call_fail_error(start->call, &(Error){ ERROR_ERRNO, -r, .message = strerror(-r) });
        return r > 0;
}

static void on_forgotten(void *userdata, const sd_bus_error *error, const char *job)
{
        _cleanup_(start_free_cleanup) Start *start = userdata;
        bool gone = error && systemd_error_no_unit(error);
        int r;

        (void) job;
        if (error && !gone)
                return call_fail_bus(start->call, error);
        /* A unit with a runtime directory is starting or running, so the spec in the directory is not that
         * of this start. */
        r = gone ? 0 : dir_exists(start);
        if (r > 0)
                return fail_exists(start);
        start->asked = true;
        if (r == 0)
                r = start_unit(start);
        if (go_on(start, r))
                TAKE_PTR(start);
}

/* A unit of this name may have ended, but still be loaded, or still have its runtime directory, which
 * systemd removes between two messages. So systemd is asked to reset the unit: after the answer, no ended
 * unit is left. */
static int forget_then_start(Start *start)
{
        int r;

        systemd_reset_failed(start->manager->systemd, start->unit);
        r = systemd_find_unit(start->manager->systemd, start->unit, on_forgotten, start);
        return r < 0 ? r : 1;
}

static void on_failed(Start *start, const sd_bus_error *error)
{
        /* Without an answer, the unit may start nevertheless, and then needs its spec. */
        if (!systemd_error_unknown(error))
                remove_dir(start);
        if (systemd_error_exists(error))
                fail_exists(start);
        else if (systemd_error_bad_property(error))
                call_fail(start->call, ERROR_INVALID_SPEC, "%s", error->message);
        else
                call_fail_bus(start->call, error);
}

static void on_started(void *userdata, const sd_bus_error *error, const char *job)
{
        _cleanup_(start_free_cleanup) Start *start = userdata;
        int r;

        if (error && systemd_error_exists(error) && !start->asked) {
                remove_dir(start);
                if (go_on(start, forget_then_start(start)))
                        TAKE_PTR(start);
                return;
        }
        if (error)
                return on_failed(start, error);
        r = manager_add_unit(start->manager, start->unit);
        if (r < 0)
                log_warning_errno(r, "Failed to take note of unit '%s'", start->unit);
        call_answer(start->call,
                    &(StartAnswer){ start->spec->name, start->unit, (char *) job, start->warnings });
}

/* Returns 1 if the start belongs to a handler of an answer, and 0 if the call has been answered. */
static int start_unit(Start *start)
{
        _cleanup_unit_request_ UnitRequest *q = NULL;
        int r;

        r = start->asked ? 0 : dir_exists(start);
        if (r != 0)
                return r < 0 ? r : forget_then_start(start);
        r = write_dir(start);
        if (r < 0) {
                remove_dir(start);
                return log_debug_errno(r, "Failed to write the spec of machine '%s'", start->spec->name);
        }
        q = unit_request_start(start->manager->systemd, start->unit);
        if (q) {
                unit_request_add_assignments(q, start->assignments);
                /* The descriptors of the caller are the standard streams of the payload: systemd passes them
                 * on, and no process copies data. */
                unit_request_add_stdio(q, start->stdio);
        }
        r = q ? unit_request_send(q, on_started, start) : -ENOMEM;
        if (r >= 0)
                return 1;
        remove_dir(start);
        if (r != -EINVAL)
                return r;
        call_fail(start->call, ERROR_INVALID_SPEC, "%s", strna(unit_request_error(q)));
        return 0;
}

/* --- whether it can be --------------------------------------------------------------------------------- */

/* Looks for a unit that systemd has started since the last refresh. Its launcher has left a record. Returns
 * 0 if the call has been answered. */
static int check_name(Start *start)
{
        _cleanup_free_ char *unit = NULL;
        int r = 0;

        if (start_is_pending(start->manager, start->spec->name)) {
                fail_exists(start);
                return 0;
        }
        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX && r == 0; kind++)
                r = machine_is_running(start->manager->run_fd, kind, start->spec->name, &unit);
        if (r > 0) {
                call_fail(start->call, ERROR_MACHINE_EXISTS, "Machine '%s' is running already, as %s.",
                          start->spec->name, unit);
                return 0;
        }
        return r < 0 ? r : 1;
}

/* Returns a known machine that may prevent the start. A machine that a user registered prevents no start. */
static const Machine *find_known(const Start *start)
{
        const Machine *m = manager_find(start->manager, start->spec->name);

        return !m || m->state == MACHINE_FAILED || (m->foreign && m->owner != 0) ? NULL : m;
}

static int begin(Call *call, bool sure);

/* The known list may be a moment old, so it is refreshed before a start is refused. */
static void begin_again(Call *call)
{
        int r = begin(call, true);

        if (r < 0)
                call_fail_errno(call, r, "Failed to start a machine");
}

/* Returns 1 if the start belongs to a handler of an answer, and 0 if the call owns the start, or has been
 * answered. */
static int start_prepared(Start *start)
{
        const Machine *m;
        int r = check_name(start);

        if (r <= 0)
                return r;
        if (start->busy) {
                call_fail(start->call, ERROR_IMAGE_BUSY, "%s", start->busy);
                return 0;
        }
        m = find_known(start);
        if (m && !start->sure) {
                manager_refresh_then(start->manager, start->call, begin_again);
                return 0;
        }
        if (m) {
                call_fail(start->call, ERROR_MACHINE_EXISTS, "Machine '%s' is %s already, as %s.", m->name,
                          machine_state_to_string(m), m->unit);
                return 0;
        }
        LIST_PREPEND(&start->manager->starts, start);
        return start_unit(start);
}

static void on_prepared(void *userdata, const WorkResult *result)
{
        _cleanup_(start_free_cleanup) Start *start = userdata;
        int r;

        if (result->error != 0)
                return fail_prepared(start->call, result);
        r = take_prepared(start, result->answer);
        if (go_on(start, r < 0 ? r : start_prepared(start)))
                TAKE_PTR(start);
}

/* Lets a child find the facts, and then calls `prepared`. */
static int prepare(Call *call, bool sure, bool plan,
                   void (*prepared)(void *userdata, const WorkResult *result))
{
        _cleanup_(start_free_cleanup) Start *start = calloc(1, sizeof(Start));
        const StartArguments *a = call->arguments;
        bool streams = call->operation == &operation_run;
        int r;

        OOM_CHECK(start);
        *start = (Start){
                .manager = call->manager,
                .call = call,
                .sure = sure,
                .stdio = { streams ? a->in_fd : -EBADF, streams ? a->out_fd : -EBADF,
                           streams ? a->error_fd : -EBADF },
        };
        r = worker_run(call->manager,
                       &(WorkerTask){ .work = WORK_PREPARE,
                                      .request = &(PrepareRequest){ a->spec, plan },
                                      .uid = call->caller.uid,
                                      .data_fd = -EBADF,
                                      .finished = prepared,
                                      .userdata = start },
                       NULL);
        if (r == -EUSERS) {
                call_fail(call, ERROR_LIMIT,
                          "Too many machines are being started: at most 512, and 16 of a user.");
                return 0;
        }
        if (r < 0)
                return r;
        TAKE_PTR(start);
        return 0;
}

static int begin(Call *call, bool sure)
{
        return prepare(call, sure, false, on_prepared);
}

static int start_machine(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return begin(call, false);
}

static int run_machine(Call *call, Machine *m, const void *arguments)
{
        const StartArguments *a = arguments;

        (void) m;
        if (fd_is_stream(a->in_fd) && fd_is_stream(a->out_fd) && fd_is_stream(a->error_fd))
                return begin(call, false);
        call_fail(call, ERROR_INVALID_ARGUMENT, "Standard input and output cannot be directories.");
        return 0;
}

/* --- what would be done -------------------------------------------------------------------------------- */

static char *describe(const Start *start, const PrepareAnswer *a)
{
        json_t *unit = json_array();

        STRV_FOREACH (s, start->assignments)
                json_array_append_new(unit, json_string(*s));
        json_t *json = json_pack("{ss so so so*}", "Unit", start->unit, "Properties", unit, "Spec",
                                 spec_to_json(start->spec, true), "Plan",
                                 json_loads(strna(a->plan), 0, NULL));
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        return text;
}

/* Checks the properties of the call. Returns 0 if the call has been answered. */
static int check_properties(Start *start)
{
        STRV_FOREACH (s, start->assignments) {
                _cleanup_free_ char *error = NULL;
                int r = systemd_check_assignment(start->manager->systemd, *s, false, &error);
                if (r == -EINVAL || r == -EOPNOTSUPP) {
                        call_fail(start->call, ERROR_INVALID_SPEC, "%s", strna(error));
                        return 0;
                }
                if (r < 0)
                        return r;
        }
        return 1;
}

static void on_planned(void *userdata, const WorkResult *result)
{
        _cleanup_(start_free_cleanup) Start *start = userdata;
        _cleanup_free_ char *text = NULL;
        Call *call = start->call;
        int r;

        if (result->error != 0)
                return fail_prepared(call, result);
        r = take_prepared(start, result->answer);
        if (r >= 0)
                r = check_properties(start);
        if (r == 0)
                return;
        text = r < 0 ? NULL : describe(start, result->answer);
        if (text)
                call_answer(call, &(PlanAnswer){ text });
        else
                call_fail_errno(call, r < 0 ? r : -ENOMEM, "Failed to plan a machine");
}

static int plan_machine(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return prepare(call, false, true, on_planned);
}

/* Checks an assignment of section [Resources]. A property that only a unit file can set is correct there. */
static int check_assignment(const Manager *manager, Spec *spec, const char *assignment, Strv *problems)
{
        _cleanup_free_ char *error = NULL;
        int r;

        r = spec_assign_resource(spec, assignment, &error);
        if (r >= 0)
                r = systemd_check_assignment(manager->systemd, assignment, true, &error);
        if (r == -EINVAL)
                return strv_append(problems, strna(error));
        return r == -EOPNOTSUPP ? 0 : r;
}

static int check_assignments(Call *call, Machine *m, const void *arguments)
{
        const CheckArguments *a = arguments;
        _cleanup_strv_ Strv problems = NULL;
        _cleanup_spec_ Spec *spec = spec_new(NULL);

        (void) m;
        OOM_CHECK(spec);
        if (strv_length(a->assignments) > ASSIGNMENTS_MAX) {
                call_fail(call, ERROR_LIMIT, "At most %u properties are checked at once.", ASSIGNMENTS_MAX);
                return 0;
        }
        STRV_FOREACH (s, a->assignments) {
                int r = check_assignment(call->manager, spec, *s, &problems);
                if (r < 0)
                        return r;
        }
        call_answer(call, &(CheckAnswer){ problems });
        return 0;
}

const Operation operation_start = { "start", .arguments = &start_arguments, .answer = &start_answer,
                                    .policy = POLICY_START, .run = start_machine };
const Operation operation_run = { "run", .arguments = &run_arguments, .answer = &start_answer,
                                  .policy = POLICY_START, .run = run_machine };
const Operation operation_plan = { "plan", .arguments = &start_arguments, .answer = &plan_answer,
                                   .policy = POLICY_START, .run = plan_machine };
const Operation operation_check_properties = { "check-properties", .arguments = &check_arguments,
                                               .answer = &check_answer, .run = check_assignments };

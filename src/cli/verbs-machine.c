/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/verbs-machine.h"

#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "basic/parse.h"
#include "cli/bus.h"
#include "cli/effective-spec.h"
#include "cli/logs.h"
#include "cli/output.h"
#include "cli/usage.h"

/* Converts the properties of a machine on the bus to the fields of the JSON output, which have other
 * names. */
static json_t *machine_fields(json_t *machine)
{
        static const struct {
                const char *property, *field;
        } names[] = {
                { "Name", "name" },   { "Class", "class" },     { "Unit", "unit" },
                { "State", "state" }, { "Leader", "leader" },   { "Image", "image" },
                { "OS", "os" },       { "Since", "since" },     { "RootDirectory", "rootDirectory" },
                { "UUID", "uuid" },   { "UIDBase", "uidBase" },
        };
        json_t *fields = json_object();

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                json_t *value = json_object_get(machine, names[i].property);
                json_object_set(fields, names[i].field, value ?: json_null());
        }
        return fields;
}

int verb_list(Context *c, char **args)
{
        static const Column columns[] = {
                { "name", "MACHINE", NULL },
                { "class", "CLASS", NULL },
                { "state", "STATE", NULL },
                { "leader", "LEADER", NULL },
                { "image", "IMAGE", NULL },
                { "os", "OS", NULL },
                { "since", "SINCE", format_timestamp },
        };
        json_t *machines, *machine, *rows;
        size_t i;
        int r;

        (void) args;
        r = bus_list_machines(c, &machines);
        if (r < 0)
                return r;
        rows = json_array();
        json_array_foreach (machines, i, machine)
                if (c->all || !streq_ptr(json_text(machine, "State"), "failed"))
                        json_array_append_new(rows, machine_fields(machine));
        json_decref(machines);
        pager_open(c);
        r = output_array(c, rows, columns, ELEMENTSOF(columns), "machine");
        json_decref(rows);
        return r;
}

static int print_properties(json_t *object)
{
        const char *key;
        json_t *value;

        json_object_foreach (object, key, value) {
                _cleanup_free_ char *text = json_is_string(value)
                                                    ? str_escape(json_string_value(value))
                                                    : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
                if (!text)
                        return log_oom();
                printf("%s=%s\n", key, text);
        }
        return 0;
}

static int show_effective(Context *c, const char *name)
{
        _cleanup_spec_ Spec *spec = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = config_effective_spec(c, name, &spec);
        if (r < 0)
                return r;
        if (c->output != OUTPUT_TEXT)
                return output_json(c, spec_to_json(spec, true));
        r = spec_to_text(spec, true, &text);
        if (r < 0)
                return log_error_errno(
                        r, "Failed to write the settings of machine '%s' as a machine file; use --json",
                        name);
        fputs(text, stdout);
        return 0;
}

int verb_show(Context *c, char **args)
{
        json_t *all, *machine;
        int r = 0;

        if (c->effective) {
                STRV_FOREACH (name, args)
                        if (r >= 0)
                                r = show_effective(c, *name);
                return r;
        }
        all = json_array();
        STRV_FOREACH (name, args) {
                r = bus_get_machine(c, *name, &machine);
                if (r < 0)
                        break;
                if (c->output == OUTPUT_TEXT) {
                        if (name != args)
                                putchar('\n');
                        r = print_properties(machine);
                } else
                        json_array_append_new(all, machine_fields(machine));
                json_decref(machine);
        }
        if (r < 0 || c->output == OUTPUT_TEXT) {
                json_decref(all);
                return r;
        }
        return output_json(c, all);
}

static unsigned shared_depth(const char *a, const char *b)
{
        unsigned depth = 0;

        for (; *a && *a == *b; a++, b++)
                if (*a == '/')
                        depth++;
        /* Components with a common prefix, such as "ab" and "ac", are not the same directory. */
        return (*a == 0 || *a == '/') && (*b == 0 || *b == '/') ? depth + 1 : depth;
}

/* Prints processes as a tree of cgroups. Components of a path that the previous process has as well are not
 * repeated. */
static void print_processes(const char *control_group, const CgroupProcess *processes, size_t n)
{
        _cleanup_free_ char *previous = strdup("");

        printf("  CGroup: %s\n", control_group);
        for (size_t i = 0; i < n; i++) {
                const char *below = startswith(processes[i].cgroup, control_group) ?: processes[i].cgroup;
                /* The machine chooses the names of cgroups: escape them. */
                char *shown = str_escape(below + (*below == '/'));
                const char *path = shown;
                unsigned depth = 0;

                if (!path || !previous) {
                        (void) log_oom();
                        return;
                }
                unsigned shared = i == 0 ? 0 : shared_depth(previous, path);
                for (const char *p = path; *p; depth++) {
                        size_t length = strcspn(p, "/");
                        if (depth >= shared)
                                printf("          %*s%.*s\n", depth * 2, "", (int) length, p);
                        p += length + (p[length] == '/');
                }
                printf("          %*s%u %s\n", depth * 2, "", processes[i].pid, processes[i].command);
                free(previous);
                previous = shown;
        }
}

static void print_line(const char *heading, const char *value)
{
        _cleanup_free_ char *shown = value ? str_escape(value) : NULL;

        if (!isempty(shown))
                printf("%8s: %s\n", heading, shown);
}

static int print_status(Context *c, const char *name)
{
        json_t *machine, *unit = NULL;
        CgroupProcess *processes = NULL;
        size_t n = 0;
        int r;

        r = bus_get_machine(c, name, &machine);
        if (r < 0)
                return r;
        const char *unit_name = json_text(machine, "Unit"), *state = json_text(machine, "State");
        r = bus_get_unit(c, unit_name, &unit);
        if (r < 0) {
                json_decref(machine);
                return r;
        }
        _cleanup_free_ char *since = format_timestamp(json_object_get(machine, "Since"));
        _cleanup_free_ char *leader = strf("%" PRIu64, json_number(machine, "Leader"));

        printf("%s - %s\n", name, strna(json_text(unit, "Description")));
        print_line("State", state);
        print_line("Result", streq_ptr(state, "failed") ? json_text(unit, "Result") : NULL);
        print_line("Since", since);
        print_line("Leader", json_number(machine, "Leader") > 0 ? leader : NULL);
        print_line("Image", json_text(machine, "Image"));
        print_line("OS", json_text(machine, "OS"));
        print_line("UUID", json_text(machine, "UUID"));
        print_line("Unit", unit_name);
        print_line("Status", json_text(unit, "StatusText"));
        if (!isempty(json_text(unit, "ControlGroup")) &&
            bus_get_processes(c, unit_name, &processes, &n) >= 0)
                print_processes(json_text(unit, "ControlGroup"), processes, n);
        processes_free(processes, n);
        if (!c->host && c->lines != 0) {
                putchar('\n');
                r = logs_print_tail(c, name, unit_name, c->lines < 0 ? 10 : c->lines, LOGS_LAST_RUN, stdout,
                                    "");
        }
        json_decref(unit);
        json_decref(machine);
        return MIN(r, 0);
}

int verb_status(Context *c, char **args)
{
        int r;

        if (c->output != OUTPUT_TEXT)
                return verb_show(c, args);
        pager_open(c);
        STRV_FOREACH (name, args) {
                if (name != args)
                        putchar('\n');
                r = print_status(c, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int machine_report_jobs(const Jobs *jobs)
{
        int status = 0;

        for (size_t i = 0; i < jobs->n; i++)
                if (!streq(jobs->items[i].result, "done")) {
                        log_error("Failed to stop machine '%s': the stop job ended with result '%s'.",
                                  jobs->items[i].name, jobs->items[i].result);
                        status = EXIT_STATUS_FAILURE;
                }
        return status;
}

/* Sends all calls first, and then waits for the jobs: machines stop in parallel. */
static int end_machines(Context *c, char **names, const char *method)
{
        _cleanup_(jobs_clear) Jobs jobs = {};
        int r, status = 0;

        r = c->wait ? bus_watch_jobs(c, &jobs) : 0;
        if (r < 0)
                return r;
        STRV_FOREACH (name, names) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                _cleanup_free_ char *what = strf("Failed to stop machine '%s'", *name);
                const char *job;

                r = bus_call_registry(c, strna(what), method, &reply, "s", *name);
                if (r < 0) {
                        status = EXIT_STATUS_FAILURE;
                        continue;
                }
                r = sd_bus_message_read(reply, "o", &job);
                /* "/" stands for no job: then the end of the machine cannot be waited for. */
                if (r >= 0 && c->wait && !streq(job, "/"))
                        r = bus_add_job(&jobs, job, "", *name);
                if (r < 0)
                        return r;
        }
        r = c->wait ? bus_wait_jobs(&jobs) : 0;
        if (r >= 0)
                r = machine_report_jobs(&jobs);
        return r != 0 ? r : status;
}

int verb_power_off(Context *c, char **args)
{
        return end_machines(c, args, "PowerOffMachine");
}

int verb_terminate(Context *c, char **args)
{
        return end_machines(c, args, "TerminateMachine");
}

/* Calls a method without an answer for each machine. */
static int call_each(Context *c, char **names, const char *method, const char *what)
{
        int status = 0;

        STRV_FOREACH (name, names) {
                _cleanup_free_ char *text = strf("Failed to %s machine '%s'", what, *name);
                if (bus_call_registry(c, strna(text), method, NULL, "s", *name) < 0)
                        status = EXIT_STATUS_FAILURE;
        }
        return status;
}

int verb_pause(Context *c, char **args)
{
        return call_each(c, args, "PauseMachine", "pause");
}

int verb_resume(Context *c, char **args)
{
        return call_each(c, args, "ResumeMachine", "resume");
}

int verb_kill(Context *c, char **args)
{
        int sig = c->signal ? signal_from_string(c->signal) : SIGTERM, status = 0;
        const char *whom = c->kill_whom ?: "all";

        if (sig < 0)
                return log_error("'%s' is no signal.", c->signal), EXIT_STATUS_USAGE;
        if (!streq(whom, "leader") && !streq(whom, "all"))
                return log_error("--kill-whom= takes 'leader' or 'all', not '%s'.", whom), EXIT_STATUS_USAGE;
        STRV_FOREACH (name, args) {
                _cleanup_free_ char *what = strf("Failed to send a signal to machine '%s'", *name);
                if (bus_call_registry(c, strna(what), "KillMachine", NULL, "ssi", *name, whom, sig) < 0)
                        status = EXIT_STATUS_FAILURE;
        }
        return status;
}

/* Returns the state of a machine, or NULL if there is no such machine. The caller frees it. Errors are
 * logged. */
static int read_state(Context *c, const char *name, char **ret)
{
        json_t *machine;
        int r;

        r = bus_find_machine(c, name, &machine);
        if (r < 0)
                return r;
        *ret = NULL;
        r = machine ? free_and_strdup(ret, json_text(machine, "State")) : 0;
        json_decref(machine);
        return r < 0 ? log_oom() : 0;
}

/* Any change may be the one that verb_wait() waits for: verb_wait() reads the state again. */
static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void) m;
        (void) error;
        *(bool *) userdata = true;
        return 0;
}

static int watch_units(Context *c, const char *name, bool *changed)
{
        int r;

        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                _cleanup_free_ char *unit = machine_unit_name(kind, name), *path = NULL;

                r = unit ? sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path) : -ENOMEM;
                if (r >= 0)
                        r = sd_bus_match_signal(c->bus, NULL, SYSTEMD_NAME, path,
                                                "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                                on_change, changed);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Returns 1 if the machine has the wanted state, 0 if it does not yet, or a negative errno, logged, if it
 * will not get this state. */
static int check_state(const char *name, const char *state, bool ready)
{
        if (ready && !state)
                return log_error_return(-ESRCH, "No machine '%s' is running.", name);
        if (ready && streq(state, "failed"))
                return log_error_return(-ENODEV, "Machine '%s' failed.", name);
        if (!ready && state && streq(state, "failed"))
                return log_error_return(-ENODEV, "Machine '%s' stopped with a failure.", name);
        return ready ? streq(state, "running") : !state;
}

/* Waits until a unit of the machine changes. */
static int wait_change(Context *c, const bool *changed)
{
        while (!*changed) {
                int r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return log_error_errno(r, "Failed to wait");
        }
        return 0;
}

static int watch_manager(Context *c, bool *changed)
{
        int r = bus_connect(c);

        if (r >= 0)
                r = sd_bus_match_signal(c->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                        "UnitRemoved", on_change, changed);
        return r < 0 ? r : bus_call_manager(c, "Failed to watch units", "Subscribe", NULL, "");
}

int verb_wait(Context *c, char **args)
{
        bool ready = !c->wait_for || streq(c->wait_for, "ready"), changed = false;
        int r;

        if (!ready && !streq(c->wait_for, "stopped"))
                return log_error("--for= takes 'ready' or 'stopped', not '%s'.", c->wait_for),
                       EXIT_STATUS_USAGE;

        r = watch_manager(c, &changed);
        if (r < 0)
                return r;
        STRV_FOREACH (name, args) {
                if (!machine_name_valid(*name))
                        return usage_bad_name(*name);
                r = watch_units(c, *name, &changed);
                if (r < 0)
                        return log_error_errno(r, "Failed to watch machine '%s'", *name);

                for (;;) {
                        _cleanup_free_ char *state = NULL;

                        changed = false;
                        r = read_state(c, *name, &state);
                        if (r >= 0)
                                r = check_state(*name, state, ready);
                        if (r < 0)
                                return r;
                        if (r > 0)
                                break;
                        r = wait_change(c, &changed);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* --- reboot -------------------------------------------------------------------------------------------- */

/* A life of a machine: the leader is another one after a reboot. */
typedef struct Life {
        char *unit;
        uint64_t leader;
} Life;

static void life_clear(Life *life)
{
        free(life->unit);
}

static int read_life(Context *c, const char *name, Life *ret, bool *ret_running)
{
        json_t *machine;
        int r = bus_find_machine(c, name, &machine);

        if (r < 0)
                return r;
        *ret_running = machine && streq_ptr(json_text(machine, "State"), "running");
        ret->leader = machine ? json_number(machine, "Leader") : 0;
        r = machine ? free_and_strdup(&ret->unit, json_text(machine, "Unit")) : 0;
        json_decref(machine);
        return r < 0 ? log_oom() : 0;
}

/* systemd starts a unit again that has ended with a reboot. -ENODEV, logged, where the unit stays down. */
static int check_restart(Context *c, const char *name, const char *unit)
{
        json_t *properties = NULL;
        int r = bus_get_unit(c, unit, &properties);

        if (r < 0)
                return r;
        const char *state = json_text(properties, "ActiveState");
        if (streq_ptr(state, "inactive") || streq_ptr(state, "failed"))
                r = log_error_return(-ENODEV, "Machine '%s' did not start again: its unit is %s.", name,
                                     state);
        json_decref(properties);
        return r;
}

static int wait_reboot(Context *c, const char *name, const Life *before, bool *changed)
{
        int r;

        for (;;) {
                _cleanup_(life_clear) Life life = {};
                bool running;

                *changed = false;
                r = read_life(c, name, &life, &running);
                if (r < 0 || (running && life.leader != before->leader))
                        return r;
                r = check_restart(c, name, before->unit);
                if (r >= 0)
                        r = wait_change(c, changed);
                if (r < 0)
                        return r;
        }
}

/* Only units of mctl are known to be started again by systemd. */
static bool is_own_unit(const char *unit)
{
        return unit && (startswith(unit, "machine-") || startswith(unit, "container@"));
}

static int reboot_one(Context *c, const char *name, bool *changed)
{
        _cleanup_free_ char *what = strf("Failed to reboot machine '%s'", name);
        _cleanup_(life_clear) Life life = {};
        bool running;
        int r = c->wait ? watch_units(c, name, changed) : 0;

        if (r < 0)
                return log_error_errno(r, "Failed to watch machine '%s'", name);
        r = c->wait ? read_life(c, name, &life, &running) : 0;
        if (r >= 0)
                r = bus_call_registry(c, strna(what), "RebootMachine", NULL, "s", name);
        return r < 0 || !c->wait || !is_own_unit(life.unit) ? r : wait_reboot(c, name, &life, changed);
}

int verb_reboot(Context *c, char **args)
{
        bool changed = false;
        int status = 0, r = c->wait ? watch_manager(c, &changed) : 0;

        if (r < 0)
                return r;
        STRV_FOREACH (name, args)
                if (reboot_one(c, *name, &changed) < 0)
                        status = EXIT_STATUS_FAILURE;
        return status;
}

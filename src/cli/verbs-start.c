/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/verbs-start.h"

#include <signal.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "cli/bus.h"
#include "cli/logs.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/usage.h"
#include "cli/verbs-machine.h"
#include "spec/image-ref.h"
#include "state/spec-load.h"

/* Number of lines of the log that report_failure() prints. */
#define FAILURE_LINES 10

static void report_failure(Context *c, const struct Job *job, uint64_t since)
{
        _cleanup_free_ char *why = NULL;
        json_t *unit = NULL;

        if (!streq(job->result, "failed")) {
                log_error("Machine '%s' did not come up: the start job ended with result '%s'.", job->name,
                          job->result);
                return;
        }
        if (bus_get_unit(c, job->unit, &unit) < 0)
                return;
        why = unit_describe_failure(unit);
        log_error("Machine '%s' did not come up: %s.", job->name, strna(why));
        json_decref(unit);
        if (!c->quiet && !c->host)
                (void) logs_print_tail(c, job->name, job->unit, FAILURE_LINES, since, stderr, "    ");
}

int start_report_jobs(Context *c, const Jobs *jobs)
{
        int status = 0;

        for (size_t i = 0; i < jobs->n; i++)
                if (!streq(jobs->items[i].result, "done")) {
                        report_failure(c, jobs->items + i, jobs->since);
                        status = EXIT_STATUS_FAILURE;
                }
        return status;
}

/* The registry has no working directory of the caller: make the path absolute. */
static int assign_image(Context *c, const char *image)
{
        _cleanup_free_ char *path = NULL, *error = NULL;
        ImageRef ref;
        int r;

        if (image_ref_parse(image, &ref) < 0)
                return log_error_return(
                        -EINVAL,
                        "'%s' is not a valid name of an image; a path begins with '/', './' or '../'.",
                        image);
        if (ref.kind == IMAGE_REF_OCI && !c->host && access(image, F_OK) >= 0)
                return log_error_return(-EINVAL, "'%s' names an OCI image; write './%s' for the path.",
                                        image, image);
        if (ref.kind == IMAGE_REF_PATH) {
                path = c->host ? strdup(image) : realpath(image, NULL);
                if (!path)
                        return log_error_errno(-errno, "Cannot open image '%s'", image);
                if (path[0] != '/')
                        return log_error_return(-EINVAL,
                                                "On another host, the path of an image must be absolute.");
        }
        r = spec_assign(c->spec, setting_find(SPEC_SECTION_IMAGE, "Image"), SPEC_SOURCE_COMMAND,
                        path ?: image, &error);
        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

static int assign_properties(Context *c)
{
        _cleanup_free_ char *error = NULL, *slice = NULL;
        int r = 0;

        STRV_FOREACH (p, c->properties)
                if (r >= 0)
                        r = spec_assign_resource(c->spec, *p, &error);
        if (r >= 0 && c->slice) {
                slice = strf("Slice=%s%s", c->slice, endswith(c->slice, ".slice") ? "" : ".slice");
                r = slice ? spec_assign_resource(c->spec, slice, &error) : -ENOMEM;
        }
        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

int start_fill_image(Context *c, const char *image)
{
        int r;

        r = assign_image(c, image);
        if (r < 0)
                return r;
        if (c->name && !machine_name_valid(c->name))
                return log_error_return(-EINVAL,
                                        "Invalid name of a machine: '%s'. A name has " MACHINE_NAME_RULE ".",
                                        c->name);
        if (c->name && free_and_strdup(&c->spec->name, c->name) < 0)
                return log_oom();
        return assign_properties(c);
}

static int fill_spec(Context *c, char **args)
{
        _cleanup_free_ char *error = NULL, *words = NULL;
        int r;

        r = start_fill_image(c, args[0]);
        if (r < 0 || !args[1])
                return r;
        words = strv_join_words(args + 1);
        if (!words)
                return log_oom();
        r = spec_assign(c->spec, setting_find(SPEC_SECTION_EXEC, "Parameters"), SPEC_SOURCE_COMMAND, words,
                        &error);
        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

int start_print_plan(Context *c, const char *spec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r;

        r = bus_ask_registry(c, "Failed to plan the machine", "PlanMachine", &reply, "s", spec);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        json_t *json = r < 0 ? NULL : json_loads(text, 0, NULL);
        if (!json)
                return log_error_return(-EBADMSG, "The registry sent no plan.");
        pager_open(c);
        return output_json(c, json);
}

int start_read_reply(sd_bus_message *reply, const char **ret_unit, const char **ret_job)
{
        _cleanup_strv_ Strv warnings = NULL;
        int r;

        r = sd_bus_message_read(reply, "oso", NULL, ret_unit, ret_job);
        if (r >= 0)
                r = sd_bus_message_read_strv(reply, &warnings);
        STRV_FOREACH (warning, warnings)
                log_warning("%s", *warning);
        return r;
}

/* Attaches to the console from the first output on. Returns the exit status of the machine. */
static int boot_attached(Context *c, Process *p, const char *job)
{
        int r;

        r = console_attach(c, p);
        if (r >= 0)
                r = process_wait(c, p, job);
        if (r < 0 || p->left || streq_ptr(p->jobs.items[0].result, "done"))
                return r;
        return start_report_jobs(c, &p->jobs);
}

int verb_boot(Context *c, char **args)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(process_clear) Process p = { .ended = true };
        _cleanup_free_ char *text = NULL, *name = NULL;
        const char *unit, *job;
        int r;

        r = fill_spec(c, args);
        if (r < 0)
                return r == -EINVAL ? EXIT_STATUS_USAGE : r;
        text = spec_to_json_text(c->spec, false, JSON_COMPACT);
        if (!text)
                return log_oom();
        if (c->dry_run)
                return start_print_plan(c, text);

        r = c->wait || c->attach ? bus_watch_jobs(c, &p.jobs) : 0;
        if (r >= 0)
                r = bus_call_registry(c, "Failed to start the machine", "StartMachine", &reply, "s", text);
        if (r < 0)
                return r;
        r = start_read_reply(reply, &unit, &job);
        if (r >= 0)
                r = machine_name_from_unit(unit, &name, NULL);
        if (r < 0)
                return log_error_errno(r, "The registry sent an invalid answer");

        if (c->attach) {
                p.unit = unit;
                p.name = name;
                return boot_attached(c, &p, job);
        }
        if (c->wait) {
                r = bus_add_job(&p.jobs, job, unit, name);
                if (r >= 0)
                        r = bus_wait_jobs(&p.jobs);
                if (r >= 0)
                        r = start_report_jobs(c, &p.jobs);
                if (r != 0)
                        return r;
        }
        if (c->output != OUTPUT_TEXT)
                return output_json(c, json_pack("{ss ss ss}", "name", name, "unit", unit, "state",
                                                c->wait ? "running" : "starting"));
        if (!c->quiet)
                printf("Machine '%s' is %s, as %s.\n", name, c->wait ? "running" : "starting", unit);
        return 0;
}

/* Makes the names of the units of machines that have a machine file. */
static int template_units(char **args, Strv *ret)
{
        _cleanup_strv_ Strv units = NULL;

        STRV_FOREACH (name, args) {
                if (!machine_name_valid(*name)) {
                        (void) usage_bad_name(*name);
                        return -EINVAL;
                }
                if (strv_consume(&units, machine_unit_name(MACHINE_UNIT_TEMPLATE, *name)) < 0)
                        return log_oom();
        }
        *ret = TAKE_PTR(units);
        return 0;
}

/* Reports a missing machine file before the launcher would. mctl cannot look for files on another host. */
static int check_files(Context *c, char **args)
{
        STRV_FOREACH (name, args) {
                _cleanup_free_ char *path = NULL;
                int r = c->host ? 0 : spec_find_file(c->scope, *name, &path);
                if (r == -ENOENT)
                        return log_error_return(r, "Machine '%s' has no file '%s/%s.machine'.", *name,
                                                c->scope->config_dir, *name);
        }
        return 0;
}

/* Reports a running machine of the same name with another unit, before the launcher refuses the start. */
static int check_running(Context *c, char **names, Strv units)
{
        json_t *machines, *machine;
        size_t k;
        int r;

        r = bus_list_machines(c, &machines);
        if (r < 0)
                return r;
        json_array_foreach (machines, k, machine) {
                const char *unit = json_text(machine, "Unit"), *state = json_text(machine, "State");
                for (size_t i = 0; names[i] && r >= 0; i++)
                        if (streq_ptr(json_text(machine, "Name"), names[i]) && !streq_ptr(unit, units[i]) &&
                            !streq_ptr(state, "failed"))
                                r = log_error_return(-EEXIST, "Machine '%s' is %s already, as %s.", names[i],
                                                     strna(state), strna(unit));
        }
        json_decref(machines);
        return r;
}

static int call_units(Context *c, char **names, Strv units, bool start)
{
        _cleanup_(jobs_clear) Jobs jobs = {};
        int r, status = 0;

        r = bus_watch_jobs(c, &jobs);
        if (r < 0)
                return r;
        for (size_t i = 0; units && units[i]; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                _cleanup_free_ char *what = strf("Failed to %s machine '%s'", start ? "start" : "stop",
                                                 names[i]);
                const char *job;

                if (!what)
                        return log_oom();
                r = bus_call_manager(c, what, start ? "StartUnit" : "StopUnit", &reply, "ss", units[i],
                                     "replace");
                if (r < 0) {
                        status = EXIT_STATUS_FAILURE;
                        continue;
                }
                r = sd_bus_message_read(reply, "o", &job);
                if (r >= 0 && c->wait)
                        r = bus_add_job(&jobs, job, units[i], names[i]);
                if (r < 0)
                        return r;
        }
        if (!c->wait)
                return status;
        r = bus_wait_jobs(&jobs);
        if (r >= 0)
                r = start ? start_report_jobs(c, &jobs) : machine_report_jobs(&jobs);
        return r != 0 ? r : status;
}

int verb_start(Context *c, char **args)
{
        _cleanup_strv_ Strv units = NULL;
        int r;

        r = template_units(args, &units);
        if (r >= 0)
                r = check_files(c, args);
        if (r >= 0)
                r = check_running(c, args, units);
        if (r < 0)
                return r == -EINVAL ? EXIT_STATUS_USAGE : r;
        return call_units(c, args, units, true);
}

static int reload_manager(Context *c)
{
        return bus_call_manager(c, "Failed to reload systemd", "Reload", NULL, "");
}

/* Disabling a machine without a file is allowed, since a link may be left. If there was no link either, the
 * name is wrong. */
static int check_disabled(Context *c, char **args, sd_bus_message *reply)
{
        int r = sd_bus_message_enter_container(reply, 'a', "(sss)");

        if (r >= 0)
                r = sd_bus_message_at_end(reply, false);
        return r > 0 ? check_files(c, args) : r;
}

static int enable_units(Context *c, char **args, bool enable)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_strv_ Strv units = NULL;
        int r;

        r = template_units(args, &units);
        if (r >= 0 && enable)
                r = check_files(c, args);
        if (r == -EINVAL)
                return EXIT_STATUS_USAGE;
        if (r >= 0)
                r = bus_connect(c);
        if (r < 0)
                return r;

        r = sd_bus_message_new_method_call(c->bus, &request, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           enable ? "EnableUnitFiles" : "DisableUnitFiles");
        if (r >= 0)
                r = sd_bus_message_append_strv(request, units);
        if (r >= 0)
                r = enable ? sd_bus_message_append(request, "bb", false, false)
                           : sd_bus_message_append(request, "b", false);
        if (r < 0)
                return log_error_errno(r, "Failed to make a message");
        r = sd_bus_call(c->bus, request, 0, &error, &reply);
        if (r < 0)
                return log_error_return(r, "Failed to %s: %s", enable ? "enable" : "disable",
                                        error.message ?: strerror(-r));
        r = enable ? 0 : check_disabled(c, args, reply);
        if (r >= 0)
                r = reload_manager(c);
        return r < 0 || !c->now ? r : call_units(c, args, units, enable);
}

int verb_enable(Context *c, char **args)
{
        return enable_units(c, args, true);
}

int verb_disable(Context *c, char **args)
{
        return enable_units(c, args, false);
}

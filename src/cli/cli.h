/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "basic/log.h"
#include "basic/names.h"
#include "cli/terminal.h"
#include "spec/enter.h"
#include "spec/spec.h"

/* Exit statuses that mean the same for every verb; see mctl(1). */
enum {
        EXIT_STATUS_FAILURE = 1, /* it did not work */
        EXIT_STATUS_USAGE = 2,   /* the command line was wrong */
        EXIT_STATUS_NOT_RUN =
                STATUS_NOT_RUN, /* of run and exec: the command was not run, for whatever reason */
};

#define REGISTRY_NAME      "org.mctl.Registry1"
#define REGISTRY_PATH      "/org/mctl/Registry1"
#define REGISTRY_INTERFACE "org.mctl.Registry1"

typedef enum OutputMode {
        OUTPUT_TEXT,
        OUTPUT_JSON,
        OUTPUT_JSON_PRETTY,
} OutputMode;

/* Options of run that are no settings, as they were given. */
typedef struct RunOptions {
        bool interactive, terminal, detach, remove, privileged, list, wait;
        Strv environment, environment_files, volumes, mounts, ulimits;
        const char *entrypoint, *memory, *cpus, *pids_limit, *restart, *stop_timeout, *pull;
} RunOptions;

/* What the command line said. */
typedef struct Context {
        sd_bus *bus;
        const char *host; /* of -H */
        size_t width;     /* of lines of tables; 0: as long as they are */

        OutputMode output;
        bool quiet, legend, pager, ask_password;
        bool all, dry_run, wait, follow, raw, now, effective, runtime, force, copy, keep_identity,
                enable_quotas, make_target, stream, attach, default_keys, size;
        const char *name, *slice, *signal, *kill_whom, *wait_for, *since, *format, *image_type, *verify, *to,
                *health, *timeout, *digest, *sign;
        Strv properties;
        int lines;  /* -1: as many as suit the verb */
        Spec *spec; /* settings given as options */
        RunOptions run;
        DetachKeys keys;
} Context;

typedef struct Verb {
        const char *name;
        const char *alias;
        const char *group;
        const char *arguments;
        const char *help;
        int min_args, max_args;              /* -1: any number */
        const char *complete;                /* what its arguments are, see complete.c */
        int (*run)(Context *c, char **args); /* returns an exit status, or a negative errno, logged */
        bool command; /* the arguments behind the first are a command, which has options of its own */
        const char *settings; /* options of machine files that go with it: all, or that one; NULL: none */
        enum {
                REMOTE_BUS,      /* with -H, the bus there is all that it needs */
                REMOTE_SHELL,    /* mctl runs there as a whole */
                REMOTE_ATTACHED, /* where it stays connected to what it starts */
        } remote;
} Verb;

typedef struct Option {
        int id;
        const char *name;
        char letter;
        const char *argument; /* NULL: takes none; "[…]": may have one */
        const char *verbs;    /* blank separated; NULL: all */
        const char *help;
        const char *values; /* that there are, for completion; blank separated */
} Option;

extern const Verb verbs[];
extern const Option options[];

/* Logs that this is no name of a machine, and returns the exit status for it. */
int usage_bad_name(const char *name);

/* The verb of that name or alias, or NULL. */
const Verb *verb_find(const char *name);

/* Whether an option goes with a verb; NULL is any. */
bool option_goes_with(const Option *option, const Verb *verb);
/* "[VALUE]": it may be left out. */
bool option_value_is_optional(const char *argument);
bool setting_goes_with(const Setting *setting, const Verb *verb);

/* verbs-*.c, logs.c, complete.c */
int verb_boot(Context *c, char **args);
int verb_run(Context *c, char **args);
int verb_start(Context *c, char **args);
int verb_enable(Context *c, char **args);
int verb_disable(Context *c, char **args);
int verb_list(Context *c, char **args);
int verb_show(Context *c, char **args);
int verb_status(Context *c, char **args);
int verb_power_off(Context *c, char **args);
int verb_reboot(Context *c, char **args);
int verb_pause(Context *c, char **args);
int verb_resume(Context *c, char **args);
int verb_stats(Context *c, char **args);
int verb_top(Context *c, char **args);
int verb_terminate(Context *c, char **args);
int verb_kill(Context *c, char **args);
int verb_wait(Context *c, char **args);
int verb_logs(Context *c, char **args);
int verb_verify(Context *c, char **args);
/* Says what an image has now, and adds that to the array, where there is one. */
int image_verify(Context *c, const char *name, json_t *all);
int verb_cat(Context *c, char **args);
int verb_create(Context *c, char **args);
int verb_edit(Context *c, char **args);
int verb_set_property(Context *c, char **args);
int verb_exec(Context *c, char **args);
int verb_shell(Context *c, char **args);
int verb_login(Context *c, char **args);
int verb_console(Context *c, char **args);
int verb_copy_to(Context *c, char **args);
int verb_copy_from(Context *c, char **args);
int verb_cp(Context *c, char **args);
int verb_bind(Context *c, char **args);
int verb_mount_image(Context *c, char **args);
int verb_mount(Context *c, char **args);
int verb_umount(Context *c, char **args);
int verb_unbind(Context *c, char **args);
int verb_images(Context *c, char **args);
int verb_image_status(Context *c, char **args);
int verb_prune(Context *c, char **args);
int verb_show_image(Context *c, char **args);
int verb_clone(Context *c, char **args);
int verb_rename(Context *c, char **args);
int verb_remove(Context *c, char **args);
int verb_read_only(Context *c, char **args);
int verb_set_limit(Context *c, char **args);
int verb_import(Context *c, char **args);
int verb_export(Context *c, char **args);
int verb_snapshot(Context *c, char **args);
int verb_snapshots(Context *c, char **args);
int verb_rollback(Context *c, char **args);
int verb_remove_snapshot(Context *c, char **args);
int verb_diff(Context *c, char **args);
int verb_commit(Context *c, char **args);
int verb_update(Context *c, char **args);
int verb_update_run(Context *c, char **args);
int verb_update_undo(Context *c, char **args);
int verb_pull_tar(Context *c, char **args);
int verb_pull_raw(Context *c, char **args);
int verb_transfers(Context *c, char **args);
int verb_cancel(Context *c, char **args);
int verb_complete(Context *c, char **args);

/* remote.c: becomes mctl with these words on the host of -H. */
int remote_run(Context *c, char **words, bool terminal);

/* verb-run.c: puts the variables of --env and --env-file into the spec, and $TERM where there is to be a terminal. */
int run_fill_environment(Context *c);

/* verbs-config.c: the spec that a machine runs with, or would be started with. Errors are logged. */
int config_effective_spec(Context *c, const char *name, Spec **ret);

/* verbs-start.c: what boot and run share. Puts image, name, properties and slice into the spec. */
int start_fill_image(Context *c, const char *image);
int start_print_plan(Context *c, const char *spec);
/* Reads the answer to StartMachine() and RunMachine(), and prints the warnings in it. The strings are the message's. */
int start_read_reply(sd_bus_message *reply, const char **ret_unit, const char **ret_job);

/* bus.c */

/* Connects to the system bus, here or on the host of -H. */
int bus_connect(Context *c);
/* Sends a call and waits; what fails is logged as "WHAT: …". */
int bus_call(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret);
/* Calls a method of the registry or of systemd's manager and waits; what fails is logged as "WHAT: …". */
int bus_call_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                      const char *types, ...);
/* The same for what changes nothing: it is asked again where the registry dies over it. */
int bus_ask(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret);
int bus_ask_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...);
int bus_call_manager(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...);
/* verbs-transfers.c: begins a call of the registry that makes a transfer, which the caller frees; has it made, and waits for its end, or with
 * --detach prints its number. `what` is what the progress and errors are of. */
int transfer_new(Context *c, const char *method, sd_bus_message **ret);
int transfer_run(Context *c, sd_bus_message *call, const char *what);
/* All properties of a unit, of its type's interface too, as a JSON object. */
int bus_get_unit(Context *c, const char *unit, json_t **ret);
/* Reads a{sv} into a JSON object. */
int bus_read_properties(sd_bus_message *m, json_t **ret);
/* One machine as ListMachines() has it, the one that runs rather than one that failed. Where there is none,
 * bus_find_machine() returns 0 and NULL, bus_get_machine() -ESRCH, logged. */
int bus_find_machine(Context *c, const char *name, json_t **ret);
int bus_get_machine(Context *c, const char *name, json_t **ret);
int bus_list_machines(Context *c, json_t **ret);

/* As ListImages() has them; and {"name", "time"} in µs of each snapshot of one, the oldest first. What fails is logged, as "what: …". */
int bus_list_images(Context *c, json_t **ret);
int bus_list_snapshots(Context *c, const char *what, const char *image, json_t **ret);

/* A process of a unit, in the order of their cgroups; the command is fit to be shown. */
typedef struct CgroupProcess {
        char *cgroup;
        uint32_t pid;
        char *command;
} CgroupProcess;

/* The caller frees them. */
int bus_get_processes(Context *c, const char *unit, CgroupProcess **ret, size_t *ret_n);
void processes_free(CgroupProcess *processes, size_t n);

/* Jobs of systemd that we wait for, each on behalf of a machine. */
typedef struct Jobs {
        struct Job {
                char *path, *unit, *name;
                char *result;
        } * items;
        size_t n;
        bool watched;
} Jobs;

void jobs_clear(Jobs *jobs);
/* To be called before anything is started, so that no end is missed. */
int jobs_watch(Context *c, Jobs *jobs);
int jobs_add(Jobs *jobs, const char *path, const char *unit, const char *name);
/* Whether all have a result, and waits until they have. */
bool jobs_done(const Jobs *jobs);
int jobs_wait(Context *c, Jobs *jobs);
/* The same until then (µs of CLOCK_MONOTONIC); -ETIMEDOUT. */
int jobs_wait_until(Context *c, Jobs *jobs, uint64_t until);
/* The exit status for jobs that were to bring machines up: says of each that did not come up why. */
int jobs_report_start(Context *c, const Jobs *jobs);
/* The same for jobs that were to bring them down. */
int jobs_report_stop(const Jobs *jobs);

/* output.c */
typedef struct Column {
        const char *key, *heading;
        /* How the value is shown to people; NULL: as it is. The result is the caller's to free. */
        char *(*format)(const json_t *value);
} Column;

/* µs since 1970 as people read them, "-" for none; the caller frees it. */
char *format_timestamp(const json_t *usec);
/* Bytes, as people read them. */
char *format_bytes(const json_t *value);
/* Prints an array of objects as a table or as JSON, and how many of what they are, unless that is NULL. */
int output_array(Context *c, json_t *array, const Column *columns, size_t n_columns, const char *what);
/* Prints JSON in the mode chosen (OUTPUT_TEXT counts as pretty). Takes the reference over. */
int output_json(Context *c, json_t *json);
/* The flags of json_dumpf() for that mode. */
size_t output_json_flags(const Context *c);
/* Sends what is printed from here on through a pager where that is wanted; closes it. */
void pager_open(Context *c);
void pager_close(void);

/* Characters, not bytes; wide ones count as one. */
size_t text_width(const char *s);

/* Members of an object; NULL or 0 where there is none of that type. */
const char *json_text(const json_t *object, const char *key);
uint64_t json_number(const json_t *object, const char *key);

/* logs.c: prints the last lines of a machine for other verbs. */
int logs_print_tail(Context *c, const char *name, const char *unit, int lines, FILE *f, const char *prefix);

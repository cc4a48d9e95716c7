/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl run: a command in a machine, that behaves like one here. Options are those of Docker and Podman; each becomes a
 * setting or a property of the unit. */

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "basic/capability.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/random.h"
#include "cli/cli.h"
#include "cli/process.h"

static int assign(Context *c, SpecSection section, const char *key, const char *value)
{
        _cleanup_free_ char *error = NULL;
        int r = spec_assign(c->spec, setting_find(section, key), SPEC_SOURCE_COMMAND, value, &error);

        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

static int assign_resource(Context *c, const char *key, const char *value)
{
        _cleanup_free_ char *assignment = strf("%s=%s", key, value), *error = NULL;
        int r = assignment ? spec_assign_resource(c->spec, assignment, &error) : -ENOMEM;

        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

/* NAME=VALUE, or NAME for the value that it has here. */
static int add_environment(Context *c, const char *s)
{
        _cleanup_free_ char *assignment = NULL;
        const char *value;

        if (strchr(s, '='))
                return assign(c, SPEC_SECTION_EXEC, "Environment", s);
        value = getenv(s);
        if (!value)
                return 0;
        assignment = strf("%s=%s", s, value);
        return assignment ? assign(c, SPEC_SECTION_EXEC, "Environment", assignment) : log_oom();
}

#define ENV_FILE_MAX (1024U * 1024U)

static int add_environment_file(Context *c, const char *path)
{
        _cleanup_free_ char *text = NULL;
        int r;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd_read_all(fd, ENV_FILE_MAX, &text, NULL);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", path);
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                line += strspn(line, " \t");
                if (!*line || *line == '#')
                        continue;
                r = add_environment(c, line);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A source that is no path names a volume, which we have none of. */
static int add_bind(Context *c, const char *source, const char *target, bool read_only, const char *id_map)
{
        _cleanup_free_ char *absolute = NULL, *entry = NULL;

        if (source[0] == '.' && !c->host) {
                absolute = realpath(source, NULL);
                if (!absolute)
                        return log_error_errno(-errno, "Cannot find '%s'", source);
        }
        if ((absolute ?: source)[0] != '/')
                return log_error_return(-EINVAL, "'%s' is no path: named volumes are not supported.",
                                        source);
        entry = strf("%s:%s%s%s", absolute ?: source, target, id_map ? ":" : "", id_map ?: "");
        return entry ? assign(c, SPEC_SECTION_FILES, read_only ? "BindReadOnly" : "Bind", entry) : log_oom();
}

/* -v SOURCE:TARGET[:OPTION,…] */
static int add_volume(Context *c, const char *s)
{
        _cleanup_free_ char *copy = strdup(s);
        bool read_only = false;
        const char *id_map = NULL;

        if (!copy)
                return log_oom();
        char *target = strchr(copy, ':');
        if (!target)
                return log_error_return(-EINVAL, "--volume takes SOURCE:TARGET[:OPTIONS], not '%s'.", s);
        *target++ = 0;
        char *words = strchr(target, ':');
        if (words)
                *words++ = 0;
        for (char *state, *word = strtok_r(words ?: (char[]){ "" }, ",", &state); word;
             word = strtok_r(NULL, ",", &state))
                if (streq(word, "ro"))
                        read_only = true;
                else if (streq(word, "idmap") || streq(word, "noidmap") || streq(word, "rootidmap") ||
                         streq(word, "owneridmap"))
                        id_map = word;
                else if (!streq(word, "rw") && !streq(word, "z") && !streq(word, "Z"))
                        return log_error_return(-EINVAL, "--volume does not know the option '%s'.", word);
        return add_bind(c, copy, target, read_only, id_map);
}

/* --mount type=bind|tmpfs,KEY=VALUE,… */
static int add_mount(Context *c, const char *s)
{
        _cleanup_free_ char *copy = strdup(s), *entry = NULL;
        const char *type = "bind", *source = NULL, *target = NULL, *size = NULL, *mode = NULL;
        int read_only = 0;

        if (!copy)
                return log_oom();
        for (char *state, *key = strtok_r(copy, ",", &state); key; key = strtok_r(NULL, ",", &state)) {
                char *value = strchr(key, '=');
                if (value)
                        *value++ = 0;
                if (streq(key, "type") && value)
                        type = value;
                else if ((streq(key, "source") || streq(key, "src")) && value)
                        source = value;
                else if ((streq(key, "target") || streq(key, "destination") || streq(key, "dst")) && value)
                        target = value;
                else if (streq(key, "tmpfs-size") && value)
                        size = value;
                else if (streq(key, "tmpfs-mode") && value)
                        mode = value;
                else if (streq(key, "readonly") || streq(key, "ro"))
                        read_only = value ? parse_boolean(value) : 1;
                else
                        return log_error_return(-EINVAL, "--mount does not know '%s'.", key);
        }
        if (read_only < 0 || (read_only && streq(type, "tmpfs")))
                return log_error_return(
                        -EINVAL, "--mount takes readonly, or readonly=true or false, with type=bind.");
        if (!target)
                return log_error_return(-EINVAL, "--mount needs target=.");
        if (streq(type, "bind") && source)
                return add_bind(c, source, target, read_only, NULL);
        if (!streq(type, "tmpfs"))
                return log_error_return(-EINVAL, "--mount takes type=bind with source=, or type=tmpfs.");
        entry = strf("%s:%s%s%s%s", target, size ? "size=" : "", size ?: "",
                     mode ? size ? ",mode=" : "mode=" : "", mode ?: "");
        return entry ? assign(c, SPEC_SECTION_FILES, "TemporaryFileSystem", entry) : log_oom();
}

/* --ulimit NAME=SOFT[:HARD] */
static int add_ulimit(Context *c, const char *s)
{
        size_t n = strcspn(s, "=");
        _cleanup_free_ char *key = strf("Limit%.*s", (int) n, s);

        if (!key)
                return log_oom();
        for (char *p = key + strlen("Limit"); *p; p++)
                if (*p >= 'a' && *p <= 'z')
                        *p -= 'a' - 'A';
        if (!s[n] || !setting_find(SPEC_SECTION_EXEC, key))
                return log_error_return(
                        -EINVAL, "--ulimit takes NAME=SOFT[:HARD], such as nofile=1024:4096, not '%s'.", s);
        return assign(c, SPEC_SECTION_EXEC, key, streq(s + n + 1, "-1") ? "infinity" : s + n + 1);
}

/* --cpus 1.5 */
static int set_cpus(Context *c, const char *s)
{
        char *end, percent[32];
        double cpus = strtod(s, &end);

        if (*end || !(cpus > 0 && cpus < 10000))
                return log_error_return(-EINVAL, "--cpus takes a number of processors, not '%s'.", s);
        snprintf(percent, sizeof(percent), "%u%%", MAX((unsigned) (cpus * 100 + 0.5), 1U));
        return assign_resource(c, "CPUQuota", percent);
}

/* Docker's units may be small letters, with a "b". */
static int set_memory(Context *c, const char *s)
{
        _cleanup_free_ char *size = strdup(s);

        if (!size)
                return log_oom();
        for (char *p = size; *p; p++)
                if (*p >= 'a' && *p <= 'z')
                        *p -= 'a' - 'A';
        char *b = endswith(size, "B");
        if (b && b > size)
                *b = 0;
        size_t digits = strspn(size, "0123456789.");
        if (digits == 0 || strspn(size + digits, "KMGT") != strlen(size + digits) ||
            strlen(size + digits) > 1)
                return log_error_return(-EINVAL, "--memory takes a size such as 512m or 2G, not '%s'.", s);
        return assign_resource(c, "MemoryMax", size);
}

/* no, always, unless-stopped, on-failure[:TIMES] */
static int set_restart(Context *c, const char *s)
{
        const char *times = startswith(s, "on-failure:");
        char burst[16];
        uint64_t n;
        int r;

        if (!c->run.detach && !streq(s, "no"))
                return log_error_return(-EINVAL, "--restart needs -d: another life has not these streams.");
        if (streq(s, "no") || streq(s, "always") || streq(s, "on-failure"))
                return assign_resource(c, "Restart", s);
        if (streq(s, "unless-stopped"))
                return assign_resource(c, "Restart", "always");
        if (!times)
                return log_error_return(
                        -EINVAL,
                        "--restart takes no, always, unless-stopped or on-failure[:TIMES], not "
                        "'%s'.",
                        s);
        if (parse_u64(times, 1, 1000000, &n) < 0)
                return log_error_return(-EINVAL, "--restart=on-failure: takes a number of times, not '%s'.",
                                        times);
        snprintf(burst, sizeof(burst), "%u", (unsigned) n + 1); /* the first start counts, too */
        r = assign_resource(c, "Restart", "on-failure");
        if (r >= 0)
                r = assign_resource(c, "StartLimitBurst", burst);
        return r < 0 ? r : assign_resource(c, "StartLimitIntervalSec", "infinity");
}

static int set_pull(const char *s)
{
        if (streq(s, "never") || streq(s, "missing"))
                return 0;
        return log_error_return(-EINVAL, "--pull takes never or missing: images are not pulled yet.");
}

/* With Docker, what is added counts more than what is dropped, but for "all". */
static int settle_capabilities(Context *c)
{
        if (c->spec->capability != CAPABILITY_ALL)
                c->spec->drop_capability &= ~c->spec->capability;
        return 0;
}

static int fill_options(Context *c)
{
        static const struct {
                size_t list;
                int (*add)(Context *c, const char *value);
        } lists[] = {
                { offsetof(RunOptions, volumes), add_volume },
                { offsetof(RunOptions, mounts), add_mount },
                { offsetof(RunOptions, ulimits), add_ulimit },
        };
        const RunOptions *o = &c->run;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                STRV_FOREACH (s, *(const Strv *) ((const char *) o + lists[i].list)) {
                        r = lists[i].add(c, *s);
                        if (r < 0)
                                return r;
                }
        if (o->memory && (r = set_memory(c, o->memory)) < 0)
                return r;
        if (o->cpus && (r = set_cpus(c, o->cpus)) < 0)
                return r;
        if (o->pids_limit &&
            (r = assign_resource(c, "TasksMax", streq(o->pids_limit, "-1") ? "infinity" : o->pids_limit)) <
                    0)
                return r;
        if (o->restart && (r = set_restart(c, o->restart)) < 0)
                return r;
        if (o->stop_timeout && (r = assign_resource(c, "TimeoutStopSec", o->stop_timeout)) < 0)
                return r;
        if (o->pull && (r = set_pull(o->pull)) < 0)
                return r;
        /* Nobody comes back for a name that we made up. */
        if ((o->remove || !c->name) && (r = assign_resource(c, "CollectMode", "inactive-or-failed")) < 0)
                return r;
        return settle_capabilities(c);
}

/* "IMAGE-x7k2m9": a name of its own for each run. */
static int choose_name(Context *c, const char *image)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        const char *slash = strrchr(image, '/');
        _cleanup_free_ char *base = NULL;
        uint64_t random = random_u64();
        char suffix[8] = "-";

        if (c->spec->name)
                return 0;
        if (machine_name_from(slash ? slash + 1 : image, &base) < 0)
                base = strdup("run");
        if (!base)
                return log_oom();
        for (size_t i = 1; i < sizeof(suffix) - 1; i++, random /= sizeof(letters) - 1)
                suffix[i] = letters[random % (sizeof(letters) - 1)];
        base[MIN(strlen(base), (size_t) MACHINE_NAME_MAX - 7)] = 0;
        c->spec->name = strf("%s%s", base, suffix);
        return c->spec->name ? 0 : log_oom();
}

int run_fill_environment(Context *c)
{
        int r = 0;

        if (c->run.terminal && getenv("TERM") && !strv_env_get(c->spec->environment, "TERM"))
                r = add_environment(c, "TERM");
        STRV_FOREACH (s, c->run.environment_files)
                if (r >= 0)
                        r = add_environment_file(c, *s);
        STRV_FOREACH (s, c->run.environment)
                if (r >= 0)
                        r = add_environment(c, *s);
        return r;
}

static int fill_spec(Context *c, char **args)
{
        _cleanup_strv_ Strv command = NULL;
        _cleanup_free_ char *words = NULL;
        const SpecSource *volatile_source = c->spec->source +
                                            (setting_find(SPEC_SECTION_FILES, "Volatile") - settings);
        int r;

        r = start_fill_image(c, args[0]);
        if (r >= 0)
                r = choose_name(c, args[0]);
        if (r >= 0)
                r = assign(c, SPEC_SECTION_EXEC, "Boot", "no");
        /* The image serves many: what a run changes is its own. */
        if (r >= 0 && *volatile_source == SPEC_SOURCE_DEFAULT && !c->spec->read_only)
                r = assign(c, SPEC_SECTION_FILES, "Volatile", "overlay");
        if (r >= 0 && c->run.terminal)
                r = assign(c, SPEC_SECTION_EXEC, "Console", c->run.detach ? "pty" : "interactive");
        if (r >= 0)
                r = run_fill_environment(c);
        if (r >= 0)
                r = fill_options(c);
        if (r < 0)
                return r;

        if (c->run.entrypoint)
                r = strv_append(&command, c->run.entrypoint);
        if (r >= 0)
                r = strv_extend(&command, args + 1);
        if (r >= 0 && command) {
                words = strv_join_words(command);
                r = words ? assign(c, SPEC_SECTION_EXEC, "Parameters", words) : -ENOMEM;
        }
        return r;
}

/* Signals meant for the command: passed on, the first time as they are; who insists, ends the machine. */
static int pass_signal(Context *c, const char *name, int sig, unsigned count)
{
        return count == 0 ? bus_call_registry(c, "Failed to pass a signal on", "KillMachine", NULL, "ssi",
                                              name, "leader", sig)
                          : bus_call_registry(c, "Failed to end the machine", "TerminateMachine", NULL, "s",
                                              name);
}

static int run_attached(Context *c, const char *spec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *unit = machine_unit_name(MACHINE_UNIT_TRANSIENT, c->spec->name);
        _cleanup_(process_clear)
                Process p = { .unit = unit, .name = c->spec->name, .pass_signal = pass_signal };
        const char *started_unit, *job;
        int r;

        if (!unit)
                return log_oom();
        r = process_prepare(c, &p);
        if (r >= 0)
                r = process_prepare_input(c, &p);
        if (r >= 0)
                r = bus_call_registry(c, "Failed to start the machine", "RunMachine", &reply, "shhh", spec,
                                      p.stdin_fd, STDOUT_FILENO, STDERR_FILENO);
        if (r >= 0)
                r = start_read_reply(reply, &started_unit, &job);
        return r < 0 ? EXIT_STATUS_NOT_RUN : process_wait(c, &p, job);
}

static int run_detached(Context *c, const char *spec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(jobs_clear) Jobs jobs = {};
        const char *unit, *job;
        int r;

        r = jobs_watch(c, &jobs);
        if (r >= 0)
                r = bus_call_registry(c, "Failed to start the machine", "StartMachine", &reply, "s", spec);
        if (r >= 0)
                r = start_read_reply(reply, &unit, &job);
        if (r >= 0)
                r = jobs_add(&jobs, job, unit, c->spec->name);
        if (r >= 0)
                r = jobs_wait(c, &jobs);
        if (r >= 0)
                r = jobs_report_start(c, &jobs);
        if (r != 0)
                return EXIT_STATUS_NOT_RUN;
        if (c->output != OUTPUT_TEXT)
                return output_json(
                        c, json_pack("{ss ss ss}", "name", c->spec->name, "unit", unit, "state", "running"));
        puts(c->spec->name);
        return 0;
}

int verb_run(Context *c, char **args)
{
        _cleanup_free_ char *text = NULL;
        int r;

        if (c->run.terminal && !c->run.detach && !isatty(STDIN_FILENO))
                return log_error("-t needs a terminal on standard input."), EXIT_STATUS_NOT_RUN;

        r = fill_spec(c, args);
        if (r < 0)
                return EXIT_STATUS_NOT_RUN;
        text = spec_to_json_text(c->spec, false, JSON_COMPACT);
        if (!text)
                return log_oom(), EXIT_STATUS_NOT_RUN;
        if (c->dry_run)
                return start_print_plan(c, text);
        return c->run.detach ? run_detached(c, text) : run_attached(c, text);
}

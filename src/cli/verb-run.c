/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl run: runs a command in a machine like a command of the host. Options are those of Docker and Podman;
 * each becomes a setting or a property of the unit. */

#include "cli/verb-run.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "basic/capability.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/random.h"
#include "cli/bus.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/verbs-start.h"
#include "spec/image-ref.h"
#include "spec/mount.h"

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

/* `s` is NAME=VALUE, or NAME for the value of the variable in our environment. */
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

/* If the source is not a path, it names a volume of Docker, which mctl does not have. */
static int add_bind(Context *c, const char *source, const char *target, const Strv options)
{
        _cleanup_free_ char *absolute = NULL, *entry = NULL,
                            *words = options ? strv_join(options, ",") : NULL;

        if (source[0] == '.' && !c->host) {
                absolute = realpath(source, NULL);
                if (!absolute)
                        return log_error_errno(-errno, "Cannot find '%s'", source);
        }
        if ((absolute ?: source)[0] != '/')
                return log_error_return(-EINVAL, "'%s' is no path: named volumes are not supported.",
                                        source);
        entry = strf("%s:%s%s%s", absolute ?: source, target, words ? ":" : "", words ?: "");
        return entry ? assign(c, SPEC_SECTION_FILES, "Bind", entry) : log_oom();
}

/* Docker options without a meaning here: labels of SELinux, and the consistency of file caches. */
static bool is_ignored_option(const char *word)
{
        static const char *const words[] = { "z", "Z", "cached", "consistent", "delegated" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(word, words[i]))
                        return true;
        return false;
}

/* -v SOURCE:TARGET[:OPTION,…] */
static int add_volume(Context *c, const char *s)
{
        _cleanup_free_ char *copy = strdup(s);
        _cleanup_strv_ Strv options = NULL;

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
                if (!mount_option_is_of_bind(word) && !is_ignored_option(word))
                        return log_error_return(-EINVAL, "Unknown option '%s' of --volume.", word);
                else if (!is_ignored_option(word) && strv_append(&options, word) < 0)
                        return log_oom();
        return add_bind(c, copy, target, options);
}

/* The parsed value of --mount. */
typedef struct MountWords {
        const char *type, *source, *target;
        Strv options; /* as in Bind= and TemporaryFileSystem= */
} MountWords;

static void mount_words_clear(MountWords *m)
{
        strv_free(m->options);
}

static int add_mount_option(MountWords *m, const char *prefix, const char *value)
{
        return strv_appendf(&m->options, "%s%s", prefix, value) < 0 ? log_oom() : 0;
}

/* Parses one KEY or KEY=VALUE of Docker and Podman. -EINVAL, logged, for an unknown key. */
static int read_mount_word(MountWords *m, char *key)
{
        static const struct {
                const char *key, *prefix;
        } options[] = {
                { "tmpfs-size", "size=" },
                { "tmpfs-mode", "mode=" },
                { "bind-propagation", "" },
        };
        char *value = strchr(key, '=');
        int yes;

        if (value)
                *value++ = 0;
        if (streq(key, "type") && value)
                return m->type = value, 0;
        if ((streq(key, "source") || streq(key, "src")) && value)
                return m->source = value, 0;
        if ((streq(key, "target") || streq(key, "destination") || streq(key, "dst")) && value)
                return m->target = value, 0;
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(key, options[i].key) && value)
                        return add_mount_option(m, options[i].prefix, value);
        yes = value ? parse_boolean(value) : 1;
        if (yes >= 0 && (streq(key, "readonly") || streq(key, "ro")))
                return yes ? add_mount_option(m, "ro", "") : 0;
        if (yes >= 0 && streq(key, "bind-nonrecursive"))
                return add_mount_option(m, yes ? "norbind" : "rbind", "");
        if (value || (!mount_option_is_of_bind(key) && !is_ignored_option(key)))
                return log_error_return(-EINVAL, "Unknown key '%s%s%s' of --mount.", key, value ? "=" : "",
                                        value ?: "");
        return is_ignored_option(key) ? 0 : add_mount_option(m, key, "");
}

/* --mount type=bind|tmpfs,KEY=VALUE,… */
static int add_mount(Context *c, const char *s)
{
        _cleanup_(mount_words_clear) MountWords m = { .type = "bind" };
        _cleanup_free_ char *copy = strdup(s), *words = NULL, *entry = NULL;

        if (!copy)
                return log_oom();
        for (char *state, *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state)) {
                int r = read_mount_word(&m, word);
                if (r < 0)
                        return r;
        }
        if (!m.target)
                return log_error_return(-EINVAL, "--mount needs target=.");
        if (streq(m.type, "bind") && m.source)
                return add_bind(c, m.source, m.target, m.options);
        if (!streq(m.type, "tmpfs"))
                return log_error_return(-EINVAL, "--mount takes type=bind with source=, or type=tmpfs.");
        words = m.options ? strv_join(m.options, ",") : strdup("");
        entry = words ? strf("%s:%s", m.target, words) : NULL;
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

/* Docker also allows small letters, and a "b" behind the unit. */
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
                return log_error_return(
                        -EINVAL,
                        "--restart needs -d: after a restart, nobody is attached to the new process.");
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
        /* StartLimitBurst= counts the first start as well. */
        snprintf(burst, sizeof(burst), "%u", (unsigned) n + 1);
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

/* As in Docker, --cap-add overrides --cap-drop, except with --cap-add=all. */
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
        /* A generated name is not used again: systemd need not keep the failed unit. */
        if ((o->remove || !c->name) && (r = assign_resource(c, "CollectMode", "inactive-or-failed")) < 0)
                return r;
        return settle_capabilities(c);
}

/* Without --name, generates a name for each run: "IMAGE-x7k2m9". */
static int choose_name(Context *c, const char *image)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        _cleanup_free_ char *base = NULL, *text = NULL;
        ImageRef ref;
        uint64_t random = random_u64();
        char suffix[8] = "-";

        if (c->spec->name)
                return 0;
        text = image_ref_parse(image, &ref) < 0 ? NULL : strndup(ref.base, ref.n_base);
        if (!text || machine_name_from(text, &base) < 0)
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
        /* Many runs share the image, so each run keeps its changes to itself. */
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

/* Passes the first signal on as it is; further ones terminate the machine. */
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

        r = bus_watch_jobs(c, &jobs);
        if (r >= 0)
                r = bus_call_registry(c, "Failed to start the machine", "StartMachine", &reply, "s", spec);
        if (r >= 0)
                r = start_read_reply(reply, &unit, &job);
        if (r >= 0)
                r = bus_add_job(&jobs, job, unit, c->spec->name);
        if (r >= 0)
                r = bus_wait_jobs(&jobs);
        if (r >= 0)
                r = start_report_jobs(c, &jobs);
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

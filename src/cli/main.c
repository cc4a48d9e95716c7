/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl: see mctl(1). Verbs and options are tables; parsing, --help and completion come from them. */

#include <getopt.h>
#include <locale.h>
#include <strings.h>
#include <unistd.h>

#include "basic/parse.h"
#include "cli/cli.h"
#include "cli/table.h"

int usage_bad_name(const char *name)
{
        log_error("Invalid name of a machine: '%s'. It has " MACHINE_NAME_RULE ".", name);
        return EXIT_STATUS_USAGE;
}

/* Pads by characters: "…" is one. */
static void print_entry(const char *left, size_t width, const char *text)
{
        size_t n = text_width(left);

        printf("%s%*s %s\n", left, (int) (width > n ? width - n : 0), "", text);
}

bool option_value_is_optional(const char *argument)
{
        return argument[0] == '[' && endswith(argument, "]");
}

static void print_option(char letter, const char *name, const char *argument, const char *text)
{
        _cleanup_free_ char *left = NULL;

        if (!argument)
                left = strf("--%s", name);
        else if (option_value_is_optional(argument))
                left = strf("--%s[=%.*s]", name, (int) strlen(argument) - 2, argument + 1);
        else
                left = strf("--%s=%s", name, argument);
        printf("  %c%c ", letter ? '-' : ' ', letter ?: ' ');
        print_entry(strna(left), 31, text);
}

static void print_help(const Verb *verb)
{
        const char *group = NULL;

        if (verb)
                printf("mctl [OPTION…] %s %s\n\n%s.\n", verb->name, verb->arguments ?: "", verb->help);
        else
                printf("mctl [OPTION…] COMMAND …\n\nBoot and manage machines as units of systemd.\n");

        for (const Verb *v = verbs; v->name && !verb; v++) {
                if (!v->group)
                        continue;
                if (!streq_ptr(group, v->group))
                        printf("\n%s:\n", v->group);
                group = v->group;
                _cleanup_free_ char *left = strf("%s %s", v->name, v->arguments ?: "");
                fputs("  ", stdout);
                print_entry(strna(left), 36, v->help);
        }

        printf("\nOptions:\n");
        for (const Option *o = options; o->name; o++)
                if (verb ? option_goes_with(o, verb) : true)
                        print_option(o->letter, o->name, o->argument, o->help);
        if (verb && !verb->settings)
                return;
        if (!verb || streq(verb->settings, "all"))
                printf("\nOptions of boot, run and create, as in machine files:\n");
        for (size_t i = 0; i < n_settings; i++)
                if (setting_goes_with(settings + i, verb))
                        print_option(0, settings[i].option, settings[i].type->argument ?: "[BOOL]",
                                     settings[i].help);
        if (!verb)
                printf("\nSee mctl(1).\n");
}

typedef struct Parsed {
        bool used[OPTIONS_MAX];     /* by the row */
        bool setting[SETTINGS_MAX]; /* by the row of settings[] */
        bool help;
        char **words; /* verb and arguments */
        int n_words;
        int host_at, host_words; /* where --host= is */
} Parsed;

/* An option of run that is a setting under another name. */
static int parse_alias(Context *c, const char *key, const char *value)
{
        _cleanup_free_ char *error = NULL;
        int r = spec_assign(c->spec, setting_find(SPEC_SECTION_EXEC, key), SPEC_SOURCE_COMMAND, value,
                            &error);

        return r < 0 ? log_error_return(r, "%s", strna(error)) : 0;
}

/* Two of the ways that Volatile= has. */
static int parse_ephemeral(Context *c, const char *where)
{
        _cleanup_free_ char *error = NULL;
        bool ram = streq_ptr(where, "ram");
        int r;

        if (where && !ram && !streq(where, "disk"))
                return log_error_return(-EINVAL, "--ephemeral takes disk or ram, not '%s'.", where);
        r = spec_assign(c->spec, setting_find(SPEC_SECTION_FILES, "Volatile"), SPEC_SOURCE_COMMAND,
                        ram ? "overlay" : "disk", &error);
        return r < 0 ? log_error_return(r, "--ephemeral: %s", strna(error)) : 0;
}

static int parse_console(Context *c, const char *mode)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (!mode) {
                c->attach = true;
                return 0;
        }
        r = spec_assign(c->spec, setting_find(SPEC_SECTION_EXEC, "Console"), SPEC_SOURCE_COMMAND, mode,
                        &error);
        return r < 0 ? log_error_return(r, "--console: %s", strna(error)) : 0;
}

static int parse_run_option(Context *c, int id, const char *argument)
{
        RunOptions *o = &c->run;

        switch (id) {
        case OPT_INTERACTIVE:
                o->interactive = true;
                return 0;
        case OPT_TTY:
                o->terminal = true;
                return 0;
        case OPT_DETACH:
                o->detach = true;
                return 0;
        case OPT_RM:
                o->remove = true;
                return 0;
        case OPT_LIST:
                o->list = true;
                return 0;
        case OPT_WAIT:
                o->wait = true;
                return 0;
        case OPT_PRIVILEGED:
                o->privileged = true;
                return 0;
        case OPT_ENV:
                return strv_append(&o->environment, argument);
        case OPT_ENV_FILE:
                return strv_append(&o->environment_files, argument);
        case OPT_VOLUME:
                return strv_append(&o->volumes, argument);
        case OPT_MOUNT:
                return strv_append(&o->mounts, argument);
        case OPT_ULIMIT:
                return strv_append(&o->ulimits, argument);
        case OPT_USER:
                return parse_alias(c, "User", argument);
        case OPT_WORKDIR:
                return parse_alias(c, "WorkingDirectory", argument);
        case OPT_INIT:
                return parse_alias(c, "ProcessTwo", "yes");
        case OPT_CAP_ADD:
                return parse_alias(c, "Capability", strcasecmp(argument, "all") == 0 ? "all" : argument);
        case OPT_CAP_DROP:
                return parse_alias(c, "DropCapability", strcasecmp(argument, "all") == 0 ? "all" : argument);
        case OPT_STOP_SIGNAL:
                return parse_alias(c, "KillSignal", argument);
        case OPT_ENTRYPOINT:
                o->entrypoint = argument;
                return 0;
        case OPT_MEMORY:
                o->memory = argument;
                return 0;
        case OPT_CPUS:
                o->cpus = argument;
                return 0;
        case OPT_PIDS_LIMIT:
                o->pids_limit = argument;
                return 0;
        case OPT_RESTART:
                o->restart = argument;
                return 0;
        case OPT_STOP_TIMEOUT:
                o->stop_timeout = argument;
                return 0;
        case OPT_PULL:
                o->pull = argument;
                return 0;
        default:
                return -EINVAL;
        }
}

static int parse_option(Context *c, int id, const char *argument)
{
        uint64_t number;

        switch (id) {
        case OPT_VERSION:
                puts("mctl " MCTL_VERSION);
                exit(EXIT_SUCCESS);
        case OPT_JSON:
                if (argument && !streq(argument, "pretty") && !streq(argument, "short"))
                        return log_error_return(-EINVAL, "--json takes 'pretty' or nothing, not '%s'.",
                                                argument);
                c->output = argument && streq(argument, "pretty") ? OUTPUT_JSON_PRETTY : OUTPUT_JSON;
                return 0;
        case OPT_QUIET:
                c->quiet = true;
                return 0;
        case OPT_NO_LEGEND:
                c->legend = false;
                return 0;
        case OPT_NO_PAGER:
                c->pager = false;
                return 0;
        case OPT_NO_ASK_PASSWORD:
                c->ask_password = false;
                return 0;
        case OPT_ALL:
                c->all = true;
                return 0;
        case OPT_NAME:
                c->name = argument;
                return 0;
        case OPT_PROPERTY:
                return strv_append(&c->properties, argument) < 0 ? log_oom() : 0;
        case OPT_SLICE:
                c->slice = argument;
                return 0;
        case OPT_NO_WAIT:
                c->wait = false;
                return 0;
        case OPT_DRY_RUN:
                c->dry_run = true;
                return 0;
        case OPT_NOW:
                c->now = true;
                return 0;
        case OPT_SIGNAL:
                c->signal = argument;
                return 0;
        case OPT_KILL_WHOM:
                c->kill_whom = argument;
                return 0;
        case OPT_FOR:
                c->wait_for = argument;
                return 0;
        case OPT_FOLLOW:
                c->follow = true;
                return 0;
        case OPT_LINES:
                if (parse_u64(argument, 0, INT32_MAX, &number) < 0)
                        return log_error_return(-EINVAL, "--lines= takes a number, not '%s'.", argument);
                c->lines = number;
                return 0;
        case OPT_SINCE:
                c->since = argument;
                return 0;
        case OPT_RAW:
                c->raw = true;
                return 0;
        case OPT_EFFECTIVE:
                c->effective = true;
                return 0;
        case OPT_RUNTIME:
                c->runtime = true;
                return 0;
        case OPT_NO_STREAM:
                c->stream = false;
                return 0;
        case OPT_FORCE:
                c->force = true;
                return 0;
        case OPT_COPY:
                c->copy = true;
                return 0;
        case OPT_KEEP_IDENTITY:
                c->keep_identity = true;
                return 0;
        case OPT_ENABLE_QUOTAS:
                c->enable_quotas = true;
                return 0;
        case OPT_TYPE:
                c->image_type = argument;
                return 0;
        case OPT_VERIFY:
                c->verify = argument;
                return 0;
        case OPT_SIZE:
                c->size = true;
                return 0;
        case OPT_DIGEST:
                c->digest = argument;
                return 0;
        case OPT_SIGN:
                c->sign = argument;
                return 0;
        case OPT_TO:
                c->to = argument;
                return 0;
        case OPT_HEALTH:
                c->health = argument;
                return 0;
        case OPT_TIMEOUT:
                c->timeout = argument;
                return 0;
        case OPT_FORMAT:
                c->format = argument;
                return 0;
        case OPT_MKDIR:
                c->make_target = true;
                return 0;
        case OPT_EPHEMERAL:
                return parse_ephemeral(c, argument);
        case OPT_CONSOLE:
                return parse_console(c, argument);
        case OPT_DETACH_KEYS:
                c->default_keys = false;
                return detach_keys_parse(argument, &c->keys) < 0
                               ? log_error_return(
                                         -EINVAL,
                                         "--detach-keys= takes keys such as ctrl-p,ctrl-q, or none, "
                                         "not '%s'.",
                                         argument)
                               : 0;
        default:
                return parse_run_option(c, id, argument);
        }
}

static int parse_setting(Context *c, const Setting *setting, const char *argument)
{
        _cleanup_free_ char *error = NULL;
        int r;

        /* A switch without a value is on. */
        r = spec_assign(c->spec, setting, SPEC_SOURCE_COMMAND, argument ?: "yes", &error);
        return r < 0 ? log_error_return(r, "--%s: %s", setting->option, strna(error)) : 0;
}

/* Fills getopt's tables from ours. */
static void make_getopt(struct option *longs, char *shorts)
{
        size_t n = 0;

        for (const Option *o = options; o->name; o++) {
                int takes = !o->argument                            ? no_argument
                            : option_value_is_optional(o->argument) ? optional_argument
                                                                    : required_argument;
                longs[n++] = (struct option){ o->name, takes, NULL, o->id };
                if (o->letter) {
                        *shorts++ = o->letter;
                        if (takes == required_argument)
                                *shorts++ = ':';
                }
        }
        for (size_t i = 0; i < n_settings; i++)
                if (settings[i].option) {
                        int takes = settings[i].type->argument ? required_argument : optional_argument;
                        longs[n++] = (struct option){ settings[i].option, takes, NULL,
                                                      OPT_SETTING + (int) i };
                }
        longs[n] = (struct option){};
        *shorts = 0;
}

/* Returns 1 when the verb is to be run, 0 when all is done, -EINVAL, logged, for a wrong command line. */
static int parse_argv(Context *c, int argc, char *argv[], Parsed *parsed)
{
        struct option longs[OPTIONS_MAX + SETTINGS_MAX + 1];
        char shorts[128];
        int id, r;

        /* "-": other words come in their order, as option 1. */
        shorts[0] = '-';
        make_getopt(longs, shorts + 1);
        while ((id = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
                if (id == '?')
                        return -EINVAL;
                if (id == 1) {
                        parsed->words[parsed->n_words++] = optarg;
                        /* A command has options of its own. */
                        const Verb *verb = parsed->n_words == 3 ? verb_find(parsed->words[0]) : NULL;
                        if (verb && verb->command)
                                break;
                        continue;
                }
                if (id >= OPT_SETTING) {
                        parsed->setting[id - OPT_SETTING] = true;
                        r = parse_setting(c, settings + (id - OPT_SETTING), optarg);
                        if (r < 0)
                                return r;
                        continue;
                }
                for (size_t i = 0; options[i].name; i++)
                        if (options[i].id == id || (options[i].letter && options[i].letter == id)) {
                                parsed->used[i] = true;
                                id = options[i].id;
                                break;
                        }
                if (id == OPT_HELP)
                        parsed->help = true;
                else if (id == OPT_HOST && c->host)
                        return log_error_return(-EINVAL, "There is one host to act on, not two.");
                else if (id == OPT_HOST) {
                        parsed->host_words = optarg == argv[optind - 1] ? 2 : 1;
                        parsed->host_at = optind - parsed->host_words;
                        c->host = optarg;
                } else {
                        r = parse_option(c, id, optarg);
                        if (r < 0)
                                return r;
                }
        }
        for (int i = optind; i < argc; i++)
                parsed->words[parsed->n_words++] = argv[i];
        parsed->words[parsed->n_words] = NULL;
        return 1;
}

static int check_call(const Context *c, const Verb *verb, const Parsed *parsed, int n_args)
{
        for (size_t i = 0; options[i].name; i++)
                if (parsed->used[i] && !option_goes_with(options + i, verb))
                        return log_error_return(-EINVAL,
                                                "Option --%s does not go with '%s'; see 'mctl %s --help'.",
                                                options[i].name, verb->name, verb->name);
        for (size_t i = 0; i < n_settings; i++)
                if (parsed->setting[i] && !setting_goes_with(settings + i, verb))
                        return log_error_return(-EINVAL,
                                                "Option --%s does not go with '%s'; see 'mctl %s --help'.",
                                                settings[i].option, verb->name, verb->name);
        if (c->attach && !streq(verb->name, "boot"))
                return log_error_return(-EINVAL, "--console needs a value with '%s'.", verb->name);
        if (n_args < verb->min_args || (verb->max_args >= 0 && n_args > verb->max_args))
                return log_error_return(-EINVAL, "Expected: mctl %s%s%s", verb->name,
                                        verb->arguments ? " " : "", verb->arguments ?: "");
        return 0;
}

static void log_unknown_verb(const char *name)
{
        const Verb *best = NULL;
        unsigned distance, least = 3;

        for (const Verb *v = verbs; v->name; v++)
                if (v->group && (distance = edit_distance(name, v->name)) < least) {
                        least = distance;
                        best = v;
                }
        if (best)
                log_error("Unknown command '%s': did you mean '%s'? See 'mctl --help'.", name, best->name);
        else
                log_error("Unknown command '%s'; see 'mctl --help'.", name);
}

/* What run and its like end with is the command's, up to a few numbers. An option that was not understood may have kept
 * us from seeing the verb. */
static int usage_status(char *argv[])
{
        for (char **word = argv + 1; *word; word++) {
                const Verb *verb = verb_find(*word);
                if (verb)
                        return verb->command ? EXIT_STATUS_NOT_RUN : EXIT_STATUS_USAGE;
        }
        return EXIT_STATUS_USAGE;
}

/* All words but --host=, which the other host has no use for. */
static int run_there(Context *c, const Verb *verb, const Parsed *parsed, char *argv[])
{
        bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        char **word = argv + parsed->host_at;

        if (startswith(*word, "-") && word[0][1] != '-' && word[0][1] != 'H')
                return log_error_return(-EINVAL, "Write -H by itself, not with other options in one word.");
        memmove(word, word + parsed->host_words,
                (strv_length(word + parsed->host_words) + 1) * sizeof(char *));
        if (verb->remote == REMOTE_ATTACHED && !c->run.terminal && !c->attach)
                terminal = false;
        return remote_run(c, argv + 1, terminal);
}

static bool stays_attached(const Context *c, const Verb *verb)
{
        return verb->remote == REMOTE_SHELL ||
               (verb->remote == REMOTE_ATTACHED && (verb->run == verb_boot ? c->attach : !c->run.detach));
}

static int run(Context *c, int argc, char *argv[])
{
        _cleanup_free_ char **words = calloc(argc + 1, sizeof(char *));
        Parsed parsed = { .words = words };
        int r;

        if (!words)
                return log_oom();
        /* The words to complete are not ours to parse. */
        if (argc >= 2 && streq(argv[1], "__complete"))
                return verb_complete(c, argv + 2);

        r = parse_argv(c, argc, argv, &parsed);
        if (r < 0)
                return usage_status(argv);

        const char *name = words[0];
        const Verb *verb = name ? verb_find(name) : NULL;
        if (name && !verb && !streq(name, "help"))
                return log_unknown_verb(name), EXIT_STATUS_USAGE;
        if (parsed.help || streq_ptr(name, "help")) {
                print_help(verb ?: name && words[1] ? verb_find(words[1]) : NULL);
                return 0;
        }
        if (!verb)
                verb = verb_find("list");

        char **args = words + (name != NULL);
        if (check_call(c, verb, &parsed, parsed.n_words - (name != NULL)) < 0)
                return usage_status(argv);
        r = c->host && stays_attached(c, verb) ? run_there(c, verb, &parsed, argv) : verb->run(c, args);
        return r >= 0 ? r : verb->command ? EXIT_STATUS_NOT_RUN : EXIT_STATUS_FAILURE;
}

int main(int argc, char *argv[])
{
        Context c = {
                .legend = true,
                .pager = true,
                .ask_password = true,
                .wait = true,
                .stream = true,
                .default_keys = true,
                .lines = -1,
                .spec = spec_new(NULL),
        };
        int status;

        (void) detach_keys_parse(DETACH_KEYS_DEFAULT, &c.keys);
        /* Not numbers: those of options have a point everywhere. */
        (void) setlocale(LC_CTYPE, "");
        (void) setlocale(LC_TIME, "");
        if (!c.spec)
                return log_oom(), EXIT_STATUS_FAILURE;
        status = run(&c, argc, argv);

        if (fflush(stdout) != 0 && status == 0)
                status = EXIT_STATUS_FAILURE;
        pager_close();
        sd_bus_flush_close_unref(c.bus);
        strv_free(c.properties);
        strv_free(c.run.environment);
        strv_free(c.run.environment_files);
        strv_free(c.run.volumes);
        strv_free(c.run.mounts);
        strv_free(c.run.ulimits);
        spec_free(c.spec);
        return status;
}

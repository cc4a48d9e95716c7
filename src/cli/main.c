/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl: see mctl(1). Verbs and options are tables; parsing, --help and completion come from them. */

#include <locale.h>
#include <unistd.h>

#include "basic/parse.h"
#include "cli/complete.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "cli/verbs-start.h"

/* Pads by characters, not by bytes, since "…" has three bytes. */
static void print_entry(const char *left, size_t width, const char *text)
{
        size_t n = text_width(left);

        printf("%s%*s %s\n", left, (int) (width > n ? width - n : 0), "", text);
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

static int check_call(const Context *c, const Verb *verb, const Parsed *parsed, int n_args)
{
        if (options_check(c, verb, parsed) < 0)
                return -EINVAL;
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

/* The exit status for a wrong command line. Verbs that run a command return the exit status of the command,
 * so they have another status for this, EXIT_STATUS_NOT_RUN. All words are searched for a verb, since
 * parsing may have stopped before the verb. */
static int usage_status(const Context *c, char *argv[])
{
        for (char **word = argv + 1; *word; word++) {
                const Verb *verb = verb_find(c, *word);
                if (verb)
                        return verb->command ? EXIT_STATUS_NOT_RUN : EXIT_STATUS_USAGE;
        }
        return EXIT_STATUS_USAGE;
}

/* Executes the command line on the other host, without the words of --host=. */
static int run_there(Context *c, const Verb *verb, const Parsed *parsed, char *argv[])
{
        bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        char **word = argv + parsed->host_at;

        if (startswith(*word, "-") && word[0][1] != '-' && word[0][1] != 'H')
                return log_error_return(-EINVAL, "-H cannot be combined with other options in one word.");
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
        /* The words of __complete are those of another command line: do not parse them. */
        if (argc >= 2 && streq(argv[1], "__complete"))
                return verb_complete(c, argv + 2);

        r = options_parse(c, argv, &parsed);
        if (r < 0)
                return usage_status(c, argv);

        if (c->version) {
                puts("mctl " MCTL_VERSION);
                return 0;
        }
        const char *name = words[0];
        const Verb *verb = name ? verb_find(c, name) : NULL;
        if (name && !verb && !streq(name, "help"))
                return log_unknown_verb(name), EXIT_STATUS_USAGE;
        if (c->help || streq_ptr(name, "help")) {
                print_help(verb ?: name && words[1] ? verb_find(c, words[1]) : NULL);
                return 0;
        }
        if (!verb)
                verb = verb_find(c, "list");

        char **args = words + (name != NULL);
        if (check_call(c, verb, &parsed, (int) parsed.n_words - (name != NULL)) < 0)
                return usage_status(c, argv);
        r = c->host && stays_attached(c, verb) ? run_there(c, verb, &parsed, argv) : verb->run(c, args);
        return r >= 0 ? r : verb->command ? EXIT_STATUS_NOT_RUN : EXIT_STATUS_FAILURE;
}

int main(int argc, char *argv[])
{
        _cleanup_scope_ Scope *scope = NULL;
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

        log_open();
        (void) detach_keys_parse(DETACH_KEYS_DEFAULT, &c.keys);
        /* LC_NUMERIC stays "C": numbers in options have a decimal point in all locales. */
        (void) setlocale(LC_CTYPE, "");
        (void) setlocale(LC_TIME, "");
        if (!c.spec)
                return log_oom(), EXIT_STATUS_FAILURE;
        if (scope_new(&scope) < 0)
                return log_error("$MCTL_SCOPE must be the path of a directory, and "
                                 "$XDG_RUNTIME_DIR must be set."),
                       EXIT_STATUS_FAILURE;
        c.scope = scope;
        c.verbs = verbs;
        c.options = options;
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

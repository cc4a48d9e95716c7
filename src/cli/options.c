/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/options.h"

#include <strings.h>

#include "basic/parse.h"

/* --- values of options --------------------------------------------------------------------------------- */

/* --ephemeral offers two of the values of Volatile=. */
int option_parse_ephemeral(Context *c, const char *where)
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

int option_parse_console(Context *c, const char *mode)
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

int option_parse_lines(Context *c, const char *argument)
{
        uint64_t number;

        if (parse_u64(argument, 0, INT32_MAX, &number) < 0)
                return log_error_return(-EINVAL, "--lines= takes a number, not '%s'.", argument);
        c->lines = (int) number;
        return 0;
}

int option_parse_json(Context *c, const char *argument)
{
        if (argument && !streq(argument, "pretty") && !streq(argument, "short"))
                return log_error_return(-EINVAL, "--json takes 'pretty' or nothing, not '%s'.", argument);
        c->output = streq_ptr(argument, "pretty") ? OUTPUT_JSON_PRETTY : OUTPUT_JSON;
        return 0;
}

/* The environment variable is for child processes. */
int option_parse_debug(Context *c, const char *argument)
{
        (void) c;
        (void) argument;
        log_set_max_level(LOG_DEBUG);
        return setenv("MCTL_LOG_LEVEL", "debug", true) < 0 ? log_oom() : 0;
}

int option_parse_detach_keys(Context *c, const char *argument)
{
        c->default_keys = false;
        return detach_keys_parse(argument, &c->keys) >= 0
                       ? 0
                       : log_error_return(
                                 -EINVAL,
                                 "--detach-keys= takes keys such as ctrl-p,ctrl-q, or none, not '%s'.",
                                 argument);
}

int option_parse_host(Context *c, const char *argument)
{
        if (c->host)
                return log_error_return(-EINVAL, "--host= can be given only once.");
        c->host = argument;
        return 0;
}

/* --- one option ---------------------------------------------------------------------------------------- */

/* The option in a word: a row of options[] or of settings[]. */
typedef struct Match {
        const Option *option;
        const Setting *setting;
        char letter; /* 0 if the option was given by its name */
} Match;

/* Returns the option as it was typed, "-u" or "--user", for messages. The caller frees it. */
static char *show(const Match *m)
{
        return m->letter ? strf("-%c", m->letter)
                         : strf("--%s", m->option ? m->option->name : m->setting->option);
}

static bool takes_value(const Match *m, bool *ret_optional)
{
        const char *argument = m->option ? m->option->argument : m->setting->type->argument;

        /* A boolean setting of machine files has an optional value: "--read-only" and "--read-only=no". */
        *ret_optional = m->option ? argument && option_value_is_optional(argument) : !argument;
        return argument || m->setting;
}

static int assign(Context *c, const Match *m, const Setting *setting, const char *value)
{
        _cleanup_free_ char *error = NULL, *typed = show(m);
        int r = spec_assign(c->spec, setting, SPEC_SOURCE_COMMAND, value, &error);

        return r < 0 ? log_error_return(r, "%s: %s", strna(typed), error ?: strerror(-r)) : 0;
}

static int apply_option(Context *c, const Match *m, const char *value)
{
        const OptionTarget *target = &m->option->target;
        void *place = (uint8_t *) c + target->offset;

        switch (target->place) {
        case PLACE_TRUE:
        case PLACE_FALSE:
                *(bool *) place = target->place == PLACE_TRUE;
                return 0;
        case PLACE_TEXT:
                *(const char **) place = value;
                return 0;
        case PLACE_LIST:
                return strv_append(place, value) < 0 ? log_oom() : 0;
        case PLACE_SETTING_YES:
                value = "yes";
                break;
        case PLACE_CAPABILITY:
                value = strcasecmp(value, "all") == 0 ? "all" : value;
                break;
        case PLACE_SETTING:
                break;
        case PLACE_FUNCTION:
                return target->parse(c, value);
        }
        return assign(c, m, setting_find(SPEC_SECTION_EXEC, target->key), value);
}

static int apply(Context *c, const Match *m, const char *value, Parsed *parsed)
{
        if (m->setting) {
                parsed->settings[m->setting - settings] = true;
                return assign(c, m, m->setting, value ?: "yes");
        }
        parsed->options[m->option - c->options].used = true;
        parsed->options[m->option - c->options].by_letter = m->letter;
        return apply_option(c, m, value);
}

/* --- words --------------------------------------------------------------------------------------------- */

static bool find_by_name(const Context *c, const char *name, size_t n, Match *ret)
{
        *ret = (Match){};
        for (const Option *o = c->options; o->name; o++)
                if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
                        ret->option = o;
        for (size_t i = 0; i < n_settings && !ret->option; i++)
                if (settings[i].option && strlen(settings[i].option) == n &&
                    strncmp(settings[i].option, name, n) == 0)
                        ret->setting = settings + i;
        return ret->option || ret->setting;
}

static bool find_by_letter(const Context *c, char letter, Match *ret)
{
        *ret = (Match){ .letter = letter };
        for (const Option *o = c->options; o->name; o++)
                if (o->letter == letter)
                        ret->option = o;
        return ret->option;
}

static int fail_unknown(const Context *c, const char *word)
{
        _cleanup_free_ char *name = strndup(word + 2, strcspn(word + 2, "="));
        const char *best = NULL;
        unsigned distance, least = 3;

        if (!name)
                return log_oom();
        for (const Option *o = c->options; o->name; o++)
                if ((distance = edit_distance(name, o->name)) < least ||
                    (!best && startswith(o->name, name))) {
                        least = MIN(distance, least);
                        best = o->name;
                }
        for (size_t i = 0; i < n_settings; i++)
                if (settings[i].option && ((distance = edit_distance(name, settings[i].option)) < least ||
                                           (!best && startswith(settings[i].option, name)))) {
                        least = MIN(distance, least);
                        best = settings[i].option;
                }
        return best ? log_error_return(-EINVAL, "Unknown option '--%s': did you mean '--%s'?", name, best)
                    : log_error_return(-EINVAL, "Unknown option '--%s'; see 'mctl --help'.", name);
}

/* The value of an option is in the same word, or is the next word. Then `at` is moved to the next word. */
static int take_option(Context *c, const Match *m, const char *value, char *argv[], int *at, Parsed *parsed)
{
        bool optional, takes = takes_value(m, &optional);
        _cleanup_free_ char *typed = show(m);
        int first = *at;

        if (value && !takes)
                return log_error_return(-EINVAL, "%s takes no value.", strna(typed));
        if (takes && !optional && !value) {
                value = argv[*at + 1];
                if (!value)
                        return log_error_return(-EINVAL, "%s takes a value.", strna(typed));
                (*at)++;
        }
        if (m->option && m->option->target.parse == option_parse_host) {
                parsed->host_at = first;
                parsed->host_words = *at - first + 1;
        }
        return apply(c, m, value, parsed);
}

static int take_long(Context *c, char *argv[], int *at, Parsed *parsed)
{
        const char *word = argv[*at], *equals = strchr(word, '=');
        size_t n = equals ? (size_t) (equals - word) : strlen(word);
        Match m;

        return find_by_name(c, word + 2, n - 2, &m)
                       ? take_option(c, &m, equals ? equals + 1 : NULL, argv, at, parsed)
                       : fail_unknown(c, word);
}

/* A word may have several letters. If an option takes a value, the rest of the word is this value. */
static int take_letters(Context *c, char *argv[], int *at, Parsed *parsed)
{
        const char *word = argv[*at];
        int r = 0;

        for (const char *letter = word + 1; *letter && r >= 0; letter++) {
                bool optional;
                Match m;

                if ((unsigned char) *letter >= 0x80)
                        return log_error_return(-EINVAL, "Unknown option '%s'; see 'mctl --help'.", word);
                if (!find_by_letter(c, *letter, &m))
                        return log_error_return(-EINVAL, "Unknown option '-%c'; see 'mctl --help'.",
                                                *letter);
                bool has_value = takes_value(&m, &optional) && !optional;
                r = take_option(c, &m, has_value && letter[1] ? letter + 1 : NULL, argv, at, parsed);
                if (has_value)
                        break;
        }
        return r;
}

int options_parse(Context *c, char *argv[], Parsed *parsed)
{
        bool ended = false;
        int r = 0;

        for (int at = 1; argv[at] && r >= 0; at++) {
                const char *word = argv[at];

                if (!ended && streq(word, "--"))
                        ended = true;
                else if (ended || word[0] != '-' || !word[1]) {
                        parsed->words[parsed->n_words++] = argv[at];
                        /* The words behind a command are options and arguments of the command. */
                        const Verb *verb = parsed->n_words == 3 ? verb_find(c, parsed->words[0]) : NULL;
                        ended = ended || (verb && verb->command);
                } else
                        r = word[1] == '-' ? take_long(c, argv, &at, parsed)
                                           : take_letters(c, argv, &at, parsed);
        }
        parsed->words[parsed->n_words] = NULL;
        return r;
}

int options_check(const Context *c, const Verb *verb, const Parsed *parsed)
{
        Match wrong = {};

        for (const Option *o = c->options; o->name; o++)
                if (parsed->options[o - c->options].used && !option_goes_with(o, verb))
                        wrong = (Match){ .option = o,
                                         .letter = parsed->options[o - c->options].by_letter ? o->letter
                                                                                             : 0 };
        for (size_t i = 0; i < n_settings; i++)
                if (parsed->settings[i] && !setting_goes_with(settings + i, verb))
                        wrong = (Match){ .setting = settings + i };
        if (!wrong.option && !wrong.setting)
                return 0;
        _cleanup_free_ char *typed = show(&wrong);
        return log_error_return(-EINVAL, "Option %s does not go with '%s'; see 'mctl %s --help'.",
                                strna(typed), verb->name, verb->name);
}

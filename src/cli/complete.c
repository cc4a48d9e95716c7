/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hidden verb behind the completion of all shells: given the words before the cursor, it prints what could come
 * next, a line each, from the same tables as --help. What a shell knows better (files) is its own. */

#include <dirent.h>

#include "basic/fd.h"
#include "cli/cli.h"

static void print_options(const Verb *verb)
{
        for (const Option *o = options; o->name; o++)
                if (option_goes_with(o, verb))
                        printf("--%s%s\n", o->name,
                               o->argument && !streq(o->argument, "[pretty]") ? "=" : "");
        for (size_t i = 0; i < n_settings && verb; i++)
                if (setting_goes_with(settings + i, verb))
                        printf("--%s%s\n", settings[i].option, settings[i].type->argument ? "=" : "");
}

static void print_machines(Context *c)
{
        json_t *machines, *machine;
        size_t i;

        if (bus_list_machines(c, &machines) < 0)
                return;
        json_array_foreach (machines, i, machine)
                printf("%s\n", strna(json_text(machine, "Name")));
        json_decref(machines);
}

/* The entries of a directory that end with this, without it. */
static void print_entries(const char *path, const char *suffix)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir(path);

        for (struct dirent *e; dir && (e = readdir(dir));) {
                const char *end = endswith(e->d_name, suffix);
                if (end && e->d_name[0] != '.' && str_is_clean(e->d_name))
                        printf("%.*s\n", (int) (end - e->d_name), e->d_name);
        }
}

/* The option that a word is, without its value, or NULL. */
static const Option *find_option(const char *word)
{
        size_t n = strcspn(word, "=");

        for (const Option *o = options; o->name; o++)
                if ((startswith(word, "--") && strlen(o->name) == n - 2 &&
                     strncmp(word + 2, o->name, n - 2) == 0) ||
                    (o->letter && word[0] == '-' && word[1] == o->letter && !word[2]))
                        return o;
        return NULL;
}

/* Whether the word behind this one is its value. */
static bool takes_next(const char *word)
{
        const Option *o = find_option(word);

        if (o)
                return o->argument && !option_value_is_optional(o->argument) && !strchr(word, '=');
        for (size_t i = 0; i < n_settings && startswith(word, "--"); i++)
                if (streq_ptr(settings[i].option, word + 2))
                        return settings[i].type->argument;
        return false;
}

static void print_values(const char *prefix, int length, const char *values)
{
        for (const char *p = values; p && *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");
                printf("%.*s%.*s\n", length, prefix, (int) n, p);
                p += n;
        }
}

/* What the words before the cursor say. */
typedef struct Before {
        const Verb *verb;
        size_t n_arguments; /* of the verb */
        const char *option; /* whose value the word at the cursor is */
        bool ended;         /* by "--", or by a command: the rest is not ours */
} Before;

static Before read_before(char **words)
{
        Before b = {};

        for (size_t i = 0; words[i] && words[i + 1]; i++) {
                if (b.option) {
                        b.option = NULL;
                        continue;
                }
                if (streq(words[i], "--") || (b.verb && b.verb->command && b.n_arguments == 2))
                        b.ended = true;
                if (b.ended)
                        continue;
                if (takes_next(words[i]))
                        b.option = words[i];
                else if (words[i][0] != '-' && !b.verb)
                        b.verb = verb_find(words[i]);
                else if (words[i][0] != '-')
                        b.n_arguments++;
        }
        if (b.verb && b.verb->command && b.n_arguments == 2)
                b.ended = true;
        return b;
}

int verb_complete(Context *c, char **args)
{
        const char *word = args[0] && args[1] ? args[strv_length(args) - 1] : args[0] ?: "";
        const Before before = read_before(args);
        const Option *option = find_option(before.option ?: word);

        log_set_max_level(LOG_EMERG);
        if (before.ended)
                return 0;
        if (before.option) {
                print_values("", 0, option ? option->values : NULL);
                return 0;
        }
        if (word[0] == '-' && strchr(word, '=')) {
                print_values(word, strcspn(word, "=") + 1, option ? option->values : NULL);
                return 0;
        }
        if (word[0] == '-') {
                print_options(before.verb);
                return 0;
        }
        if (!before.verb) {
                for (const Verb *v = verbs; v->name; v++)
                        if (v->group)
                                printf("%s\n%s%s", v->name, v->alias ?: "", v->alias ? "\n" : "");
                return 0;
        }
        switch (before.verb->complete) {
        case COMPLETE_MACHINES:
                print_machines(c);
                break;
        case COMPLETE_MACHINE:
                if (before.n_arguments == 0)
                        print_machines(c);
                break;
        case COMPLETE_IMAGES:
                if (before.n_arguments == 0)
                        print_entries("/var/lib/machines", "");
                break;
        case COMPLETE_ALL_IMAGES:
                print_entries("/var/lib/machines", "");
                break;
        case COMPLETE_MACHINE_IMAGE:
                if (before.n_arguments == 0)
                        print_machines(c);
                else if (before.n_arguments == 1)
                        print_entries("/var/lib/machines", "");
                break;
        case COMPLETE_IMAGES_SECOND:
                if (before.n_arguments == 1)
                        print_entries("/var/lib/machines", "");
                break;
        case COMPLETE_FILES:
                print_entries(SYSCONFDIR, ".machine");
                break;
        case COMPLETE_NOTHING:
                break;
        }
        return 0;
}

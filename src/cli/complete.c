/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hidden verb __complete, which all shells call. For the words before the cursor, it prints the possible
 * next words, one a line, from the tables that --help uses. Shells complete files themselves. */

#include "cli/complete.h"

#include <dirent.h>

#include "basic/fd.h"
#include "cli/bus.h"
#include "cli/usage.h"

static void print_options(const Context *c, const Verb *verb)
{
        for (const Option *o = c->options; o->name; o++)
                if (option_goes_with(o, verb))
                        printf("--%s%s\n", o->name,
                               o->argument && !streq(o->argument, "[pretty]") ? "=" : "");
        for (size_t i = 0; i < n_settings && verb; i++)
                if (setting_goes_with(settings + i, verb))
                        printf("--%s%s\n", settings[i].option, settings[i].type->argument ? "=" : "");
}

/* Prints the member of each object behind `length` bytes of `prefix`, which is typed already. Releases
 * `objects`. */
static void print_members(json_t *objects, const char *member, const char *prefix, int length)
{
        json_t *object;
        size_t i;

        json_array_foreach (objects, i, object)
                printf("%.*s%s\n", length, prefix, strna(json_text(object, member)));
        json_decref(objects);
}

static void print_machines(Context *c)
{
        json_t *machines;

        if (bus_list_machines(c, &machines) >= 0)
                print_members(machines, "Name", "", 0);
}

static void print_images(Context *c, const char *prefix, int length)
{
        json_t *images;

        if (bus_list_images(c, &images) >= 0)
                print_members(images, "Name", prefix, length);
}

static void print_snapshots(Context *c, const char *image)
{
        json_t *snapshots;

        if (bus_list_snapshots(c, "", image, &snapshots) >= 0)
                print_members(snapshots, "name", "", 0);
}

static void print_files(const Context *c)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir(c->scope->config_dir);

        for (struct dirent *e; dir && (e = readdir(dir));) {
                const char *end = endswith(e->d_name, ".machine");
                if (end && e->d_name[0] != '.' && str_is_clean(e->d_name))
                        printf("%.*s\n", (int) (end - e->d_name), e->d_name);
        }
}

/* Returns the option that a word names, with or without a value, or NULL. */
static const Option *find_option(const Context *c, const char *word)
{
        size_t n = strcspn(word, "=");

        for (const Option *o = c->options; o->name; o++)
                if ((startswith(word, "--") && strlen(o->name) == n - 2 &&
                     strncmp(word + 2, o->name, n - 2) == 0) ||
                    (o->letter && word[0] == '-' && word[1] == o->letter && !word[2]))
                        return o;
        return NULL;
}

/* Whether the next word is the value of the option in this word. */
static bool takes_next(const Context *c, const char *word)
{
        const Option *o = find_option(c, word);

        if (o)
                return o->argument && !option_value_is_optional(o->argument) && !strchr(word, '=');
        for (size_t i = 0; i < n_settings && startswith(word, "--"); i++)
                if (streq_ptr(settings[i].option, word + 2))
                        return settings[i].type->argument;
        return false;
}

static void print_values(Context *c, const Option *option, const char *prefix, int length)
{
        if (option && streq_ptr(option->argument, "IMAGE"))
                print_images(c, prefix, length);
        for (const char *p = option ? option->values : NULL; p && *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");
                printf("%.*s%.*s\n", length, prefix, (int) n, p);
                p += n;
        }
}

/* What was parsed from the words before the cursor. */
typedef struct Before {
        const Verb *verb;
        const char *argument; /* first argument of the verb */
        size_t n_arguments;
        const char *option; /* the word at the cursor is the value of this option */
        bool ended;         /* "--" or a command came: the words after it are not completed */
} Before;

static Before read_before(const Context *c, char **words)
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
                if (takes_next(c, words[i]))
                        b.option = words[i];
                else if (words[i][0] != '-' && !b.verb)
                        b.verb = verb_find(c, words[i]);
                else if (words[i][0] != '-' && b.n_arguments++ == 0)
                        b.argument = words[i];
        }
        if (b.verb && b.verb->command && b.n_arguments == 2)
                b.ended = true;
        return b;
}

/* Verb.complete has a word for each argument of the verb: "machine", "image", "snapshot" (of the image in
 * the first argument), or "file" (a machine file in /etc/mctl). If the last word is a plural, such as
 * "machines", it stands for any number of further arguments. */
static void print_arguments(Context *c, const Before *b)
{
        const char *kind = b->verb->complete, *next;

        for (size_t i = 0; kind && i < b->n_arguments; i++) {
                next = strchr(kind, ' ');
                if (!next && endswith(kind, "s"))
                        break;
                kind = next ? next + 1 : NULL;
        }
        if (!kind)
                return;
        if (startswith(kind, "machine"))
                print_machines(c);
        else if (startswith(kind, "image"))
                print_images(c, "", 0);
        else if (startswith(kind, "snapshot"))
                print_snapshots(c, b->argument);
        else if (startswith(kind, "file"))
                print_files(c);
}

int verb_complete(Context *c, char **args)
{
        const char *word = args[0] && args[1] ? args[strv_length(args) - 1] : args[0] ?: "";
        const Before before = read_before(c, args);
        const Option *option = find_option(c, before.option ?: word);

        log_set_max_level(LOG_EMERG);
        if (before.ended)
                return 0;
        if (before.option) {
                print_values(c, option, "", 0);
                return 0;
        }
        if (word[0] == '-' && strchr(word, '=')) {
                print_values(c, option, word, (int) strcspn(word, "=") + 1);
                return 0;
        }
        if (word[0] == '-') {
                print_options(c, before.verb);
                return 0;
        }
        if (!before.verb) {
                for (const Verb *v = c->verbs; v->name; v++)
                        if (v->group)
                                printf("%s\n%s%s", v->name, v->alias ?: "", v->alias ? "\n" : "");
                return 0;
        }
        print_arguments(c, &before);
        return 0;
}

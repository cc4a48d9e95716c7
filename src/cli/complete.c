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

/* That member of each, with what stands before it already. */
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

static void print_files(void)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir(SYSCONFDIR);

        for (struct dirent *e; dir && (e = readdir(dir));) {
                const char *end = endswith(e->d_name, ".machine");
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

/* What the words before the cursor say. */
typedef struct Before {
        const Verb *verb;
        const char *argument; /* the first one of the verb */
        size_t n_arguments;
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
                else if (words[i][0] != '-' && b.n_arguments++ == 0)
                        b.argument = words[i];
        }
        if (b.verb && b.verb->command && b.n_arguments == 2)
                b.ended = true;
        return b;
}

/* Verb.complete has a word for each argument of the verb: "machine", "image", "snapshot" of the image before it, or "file" of /etc/mctl; for any
 * other number of the same as well, "machines" and so on, as the last one. */
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
                print_files();
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
                print_values(c, option, "", 0);
                return 0;
        }
        if (word[0] == '-' && strchr(word, '=')) {
                print_values(c, option, word, (int) strcspn(word, "=") + 1);
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
        print_arguments(c, &before);
        return 0;
}

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
        if (verb && option_goes_with(NULL, verb))
                for (size_t i = 0; i < n_settings; i++)
                        if (settings[i].option)
                                printf("--%s%s\n", settings[i].option,
                                       settings[i].type->argument ? "=" : "");
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

int verb_complete(Context *c, char **args)
{
        const char *word = args[0] && args[1] ? args[strv_length(args) - 1] : args[0] ?: "";
        const Verb *verb = NULL;

        for (size_t i = 0; args[i] && args[i + 1] && !verb; i++)
                if (args[i][0] != '-')
                        verb = verb_find(args[i]);

        if (word[0] == '-') {
                print_options(verb);
                return 0;
        }
        if (!verb) {
                for (const Verb *v = verbs; v->name; v++)
                        if (v->group)
                                printf("%s\n", v->name);
                return 0;
        }
        log_set_max_level(LOG_EMERG);
        switch (verb->complete) {
        case COMPLETE_MACHINES:
                print_machines(c);
                break;
        case COMPLETE_IMAGES:
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/usage.h"

int usage_bad_name(const char *name)
{
        log_error("Invalid name of a machine: '%s'. A name has " MACHINE_NAME_RULE ".", name);
        return EXIT_STATUS_USAGE;
}

const Verb *verb_find(const Context *c, const char *name)
{
        for (const Verb *v = c->verbs; v->name; v++)
                if (streq(v->name, name) || streq_ptr(v->alias, name))
                        return v;
        return NULL;
}

bool option_goes_with(const Option *option, const Verb *verb)
{
        const char *list = option->verbs;
        size_t n = verb ? strlen(verb->name) : 0;

        if (!list)
                return true;
        for (const char *p = list; verb && *p; p += strspn(p, " ")) {
                size_t length = strcspn(p, " ");
                if (length == n && strncmp(p, verb->name, n) == 0)
                        return true;
                p += length;
        }
        return false;
}

bool setting_goes_with(const Setting *setting, const Verb *verb)
{
        return setting->option &&
               (!verb || streq_ptr(verb->settings, "all") || streq_ptr(verb->settings, setting->option));
}

bool option_value_is_optional(const char *argument)
{
        return argument[0] == '[' && endswith(argument, "]");
}

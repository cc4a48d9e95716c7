/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* The tables of verbs and options: their rows, and searching them. */

typedef struct Verb {
        const char *name;
        const char *alias;
        const char *group;
        const char *arguments;
        const char *help;
        int min_args, max_args;              /* -1: any number */
        const char *complete;                /* kinds of arguments, see print_arguments() in complete.c */
        int (*run)(Context *c, char **args); /* returns an exit status, or a negative errno, logged */
        bool command;         /* the arguments behind the first are a command with options of its own */
        const char *settings; /* settings that are options of this verb: "all", or one option; NULL: none */
        enum {
                REMOTE_BUS,      /* with -H, the bus of the other host is enough */
                REMOTE_SHELL,    /* with -H, mctl runs on the other host */
                REMOTE_ATTACHED, /* like REMOTE_SHELL, if it stays attached to the machine */
        } remote;
} Verb;

/* Maximal number of rows of options[]. */
#define OPTIONS_MAX 96

/* Where the value of an option is stored: in a member of Context, or in a setting of the spec. */
typedef enum OptionPlace {
        PLACE_TRUE,
        PLACE_FALSE,
        PLACE_TEXT, /* const char * */
        PLACE_LIST, /* Strv */
        PLACE_SETTING,
        PLACE_SETTING_YES,
        PLACE_CAPABILITY, /* a setting; "ALL" is changed to "all" */
        PLACE_FUNCTION,
} OptionPlace;

typedef struct OptionTarget {
        OptionPlace place;
        size_t offset;   /* of the member of Context */
        const char *key; /* of the setting in section [Exec] */
        /* Checks and stores the value, which is NULL if there is none. -EINVAL, logged. */
        int (*parse)(Context *c, const char *argument);
} OptionTarget;

typedef struct Option {
        const char *name;
        char letter;
        OptionTarget target;
        const char *argument; /* NULL: takes no value; "[…]": the value is optional */
        const char *verbs;    /* separated by blanks; NULL: all */
        const char *help;
        const char *values; /* possible values for completion, separated by blanks */
} Option;

/* Logs that the name of a machine is invalid. Returns the exit status for that. */
int usage_bad_name(const char *name);

/* Returns the verb with this name or alias, or NULL. */
const Verb *verb_find(const Context *c, const char *name);

/* Whether an option or a setting can be used with a verb. If `verb` is NULL: an option with all verbs, a
 * setting with any verb. */
bool option_goes_with(const Option *option, const Verb *verb);
/* Whether Option.argument stands for an optional value: "[VALUE]". */
bool option_value_is_optional(const char *argument);
bool setting_goes_with(const Setting *setting, const Verb *verb);

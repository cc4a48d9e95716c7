/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/usage.h"

/* Parsing of the command line by the table of options. */

typedef struct Parsed {
        struct {
                bool used, by_letter;
        } options[OPTIONS_MAX];      /* by index in the table of options */
        bool settings[SETTINGS_MAX]; /* by index in settings[] */
        char **words;                /* verb and arguments; an array of the caller, as long as argv */
        size_t n_words;
        int host_at, host_words; /* index in argv of --host=, and its number of words */
} Parsed;

/* Parses argv. Long names of options cannot be abbreviated. Parsing of options ends behind the command of
 * verbs such as run and exec. -EINVAL, logged, for a wrong command line. */
int options_parse(Context *c, char *argv[], Parsed *parsed);

/* Checks that all options of the command line go with the verb. -EINVAL, logged, for an option that does
 * not. */
int options_check(const Context *c, const Verb *verb, const Parsed *parsed);

/* OptionTarget.parse of single options. */
int option_parse_host(Context *c, const char *argument);
int option_parse_json(Context *c, const char *argument);
int option_parse_debug(Context *c, const char *argument);
int option_parse_lines(Context *c, const char *argument);
int option_parse_ephemeral(Context *c, const char *argument);
int option_parse_console(Context *c, const char *argument);
int option_parse_detach_keys(Context *c, const char *argument);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "cli/context.h"

/* Output of results: tables, JSON and the pager. */

typedef struct Column {
        const char *key, *heading;
        /* Converts a value to a text, which the caller frees; NULL: strings and numbers as they are. */
        char *(*format)(const json_t *value);
} Column;

/* Formats a time in µs since 1970 as local time, "-" for 0. The caller frees the text. */
char *format_timestamp(const json_t *usec);
/* Formats a number of bytes with a unit, such as "1.5G"; "-" if `value` is not an integer. The caller frees
 * the text. */
char *format_bytes(const json_t *value);
/* Prints an array of objects as a table or as JSON. A table ends with the number of objects, with `what` as
 * noun, unless `what` is NULL. */
int output_array(Context *c, json_t *array, const Column *columns, size_t n_columns, const char *what);
/* Prints JSON in the mode of c->output (OUTPUT_TEXT counts as pretty), and releases `json`. */
int output_json(Context *c, json_t *json);
/* The flags of json_dumpf() for c->output. */
size_t output_json_flags(const Context *c);
/* pager_open() passes standard output through a pager, if it is a terminal and a pager is wanted.
 * pager_close() waits until the user has left the pager. */
void pager_open(Context *c);
void pager_close(void);

/* Counts the characters of a text. Wide characters count as one. */
size_t text_width(const char *s);

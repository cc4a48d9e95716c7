/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <string.h>

#include "macro.h"

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static inline bool streq_ptr(const char *a, const char *b)
{
        return a && b ? streq(a, b) : a == b;
}

static inline bool isempty(const char *s)
{
        return !s || !s[0];
}

static inline const char *strna(const char *s)
{
        return s ? s : "n/a";
}

/* Returns what follows the prefix, or NULL where `s` does not begin with it. */
static inline char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? (char *) s + n : NULL;
}

/* Returns the place of the suffix, or NULL where `s` does not end with it. */
static inline char *endswith(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && streq(s + n - m, suffix) ? (char *) s + n - m : NULL;
}

/* Replaces an allocated string by a copy of another; NULL empties it. */
int free_and_strdup(char **p, const char *s);

/* Formats into a new string; the caller frees it. NULL when out of memory. */
char *strf(const char *format, ...) _printf_(1, 2);

/* Formats what is wrong into a new string, which the caller frees. Returns -EINVAL, or -ENOMEM. */
int set_invalid(char **ret_error, const char *format, ...) _printf_(2, 3);

/* Whether the string is valid UTF-8 without control characters (C0, DEL, C1). */
bool str_is_clean(const char *s) _pure_;

/* A copy in which each control character, and each byte that is not UTF-8, stands as "\xNN". For strings that a
 * container controls, on their way to a terminal. NULL when out of memory. */
char *str_escape(const char *s);

/* A NULL-terminated list of strings, NULL being the empty one. */
typedef char **Strv;

#define STRV_FOREACH(s, l) for (char **s = (l); s && *s; s++)

void strv_free(Strv l);
DEFINE_CLEANUP(Strv, strv_free);
#define _cleanup_strv_ _cleanup_(strv_free_cleanup)

/* How many there are, and whether one is like this. */
size_t strv_length(const Strv l) _pure_;
bool strv_contains(const Strv l, const char *s) _pure_;

/* Appends; strv_consume() takes the string over, and frees it on failure. */
int strv_append(Strv *l, const char *s);
int strv_consume(Strv *l, char *s);
int strv_appendf(Strv *l, const char *format, ...) _printf_(2, 3);
int strv_extend(Strv *l, const Strv more);
Strv strv_copy(const Strv l);

/* Appends NAME=VALUE, in the place of an earlier assignment to NAME. */
int strv_env_set(Strv *l, const char *assignment);

/* The value of NAME, or NULL. */
const char *strv_env_get(const Strv l, const char *name) _pure_;

/* Joins with a separator. NULL when out of memory. */
char *strv_join(const Strv l, const char *separator);

/* Splits a line into words at white space. Quotes ('…' and "…") keep it, a backslash takes the next character
 * as it is. Returns -EINVAL for a quote that is left open. */
int strv_split_words(const char *line, Strv *ret);

/* The other way: quotes what strv_split_words() would tear apart. NULL when out of memory. */
char *strv_join_words(const Strv l);

/* How many letters to change, add or drop to make one word of the other, capital or not (Levenshtein's distance). */
unsigned edit_distance(const char *a, const char *b);

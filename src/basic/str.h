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

/* Returns the rest of `s` behind the prefix, or NULL if `s` does not begin with the prefix. */
static inline char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? (char *) s + n : NULL;
}

/* Returns the place of the suffix in `s`, or NULL if `s` does not end with the suffix. */
static inline char *endswith(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && streq(s + n - m, suffix) ? (char *) s + n - m : NULL;
}

/* Replaces an allocated string by a copy of `s`, or by NULL if `s` is NULL. */
int free_and_strdup(char **p, const char *s);

/* Formats into a new string, which the caller frees. NULL when out of memory. */
char *strf(const char *format, ...) _printf_(1, 2);

/* Formats a text about invalid input into a new string, which the caller frees. Returns -EINVAL, or
 * -ENOMEM. */
int set_invalid(char **ret_error, const char *format, ...) _printf_(2, 3);

/* Whether the string is valid UTF-8 without control characters (C0, DEL, C1). */
bool str_is_clean(const char *s) _pure_;

/* Returns a copy in which each control character, and each byte that is not UTF-8, is written as "\xNN". For
 * strings that a container controls, before they go to a terminal. NULL when out of memory. */
char *str_escape(const char *s);

/* Replaces control characters, and bytes that are not UTF-8, by '?'. For texts that may have been cut in the
 * middle of a character. */
void str_repair(char *s);

/* A NULL-terminated list of strings. NULL is the empty list. */
typedef char **Strv;

#define STRV_FOREACH(s, l) for (char **s = (l); s && *s; s++)

void strv_free(Strv l);
DEFINE_CLEANUP(Strv, strv_free);
#define _cleanup_strv_ _cleanup_(strv_free_cleanup)

/* The number of strings in a list, and whether a list has a string. */
size_t strv_length(const Strv l) _pure_;
bool strv_contains(const Strv l, const char *s) _pure_;

/* Append strings to a list. strv_consume() takes ownership of the string, and frees it on failure.
 * strv_copy() returns NULL when out of memory. */
int strv_append(Strv *l, const char *s);
int strv_consume(Strv *l, char *s);
int strv_appendf(Strv *l, const char *format, ...) _printf_(2, 3);
int strv_extend(Strv *l, const Strv more);
Strv strv_copy(const Strv l);

/* Sets NAME=VALUE: replaces an earlier assignment to NAME, or appends. */
int strv_env_set(Strv *l, const char *assignment);

/* Returns the value of NAME, or NULL. */
const char *strv_env_get(const Strv l, const char *name) _pure_;

/* Joins the strings with a separator. NULL when out of memory. */
char *strv_join(const Strv l, const char *separator);

/* Splits a line into words at white space. White space in quotes ('…' and "…") does not split. After a
 * backslash, the next character is taken literally; not in '…'. -EINVAL if a quote is left open. */
int strv_split_words(const char *line, Strv *ret);

/* Joins words to a line that strv_split_words() splits into the same words. NULL when out of memory. */
char *strv_join_words(const Strv l);

/* The number of letters to change, add or remove to turn `a` into `b`, regardless of case (Levenshtein
 * distance). UINT32_MAX if `b` has 64 characters or more. */
unsigned edit_distance(const char *a, const char *b);

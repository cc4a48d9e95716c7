/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <stdarg.h>

#include "basic/str.h"

int free_and_strdup(char **p, const char *s)
{
        char *copy = NULL;

        if (s) {
                copy = strdup(s);
                OOM_CHECK(copy);
        }
        free(*p);
        *p = copy;
        return 0;
}

char *strf(const char *format, ...)
{
        va_list ap;
        char *s;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return n < 0 ? NULL : s;
}

int set_invalid(char **ret_error, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_error, format, ap) < 0)
                *ret_error = NULL;
        va_end(ap);
        return *ret_error ? -EINVAL : -ENOMEM;
}

/* Returns the length of the character at `p`. 0 for a control character and for bytes that are not UTF-8
 * (RFC 3629). */
static size_t clean_char_length(const char *p)
{
        const unsigned char *u = (const unsigned char *) p;
        uint32_t c;
        size_t n;

        if (u[0] < 0x80)
                return u[0] >= 0x20 && u[0] != 0x7f;
        if ((u[0] & 0xe0) == 0xc0)
                n = 2, c = u[0] & 0x1f;
        else if ((u[0] & 0xf0) == 0xe0)
                n = 3, c = u[0] & 0x0f;
        else if ((u[0] & 0xf8) == 0xf0)
                n = 4, c = u[0] & 0x07;
        else
                return 0;

        for (size_t i = 1; i < n; i++) {
                if ((u[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (u[i] & 0x3f);
        }

        static const uint32_t smallest[] = { [2] = 0x80, [3] = 0x800, [4] = 0x10000 };
        if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        return c < 0xa0 ? 0 : n; /* 0x80…0x9f are the C1 controls */
}

bool str_is_clean(const char *s)
{
        while (*s) {
                size_t n = clean_char_length(s);
                if (n == 0)
                        return false;
                s += n;
        }
        return true;
}

char *str_escape(const char *s)
{
        char *out = malloc(strlen(s) * 4 + 1), *p = out;

        if (!out)
                return NULL;
        while (*s) {
                size_t n = clean_char_length(s);
                if (n > 0) {
                        p = mempcpy(p, s, n);
                        s += n;
                } else
                        p += sprintf(p, "\\x%02x", (unsigned char) *s++);
        }
        *p = 0;
        return out;
}

void str_repair(char *s)
{
        while (*s) {
                size_t n = clean_char_length(s);
                if (n == 0)
                        *s = '?';
                s += n > 0 ? n : 1;
        }
}

void strv_free(Strv l)
{
        STRV_FOREACH (s, l)
                free(*s);
        free(l);
}

size_t strv_length(const Strv l)
{
        size_t n = 0;

        STRV_FOREACH (s, l)
                n++;
        return n;
}

bool strv_contains(const Strv l, const char *s)
{
        STRV_FOREACH (i, l)
                if (streq(*i, s))
                        return true;
        return false;
}

int strv_consume(Strv *l, char *s)
{
        if (!s)
                return -ENOMEM;

        size_t n = strv_length(*l);
        Strv p = reallocarray(*l, n + 2, sizeof(char *));
        if (!p) {
                free(s);
                return -ENOMEM;
        }
        p[n] = s;
        p[n + 1] = NULL;
        *l = p;
        return 0;
}

int strv_append(Strv *l, const char *s)
{
        return strv_consume(l, strdup(s));
}

int strv_appendf(Strv *l, const char *format, ...)
{
        va_list ap;
        char *s;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return strv_consume(l, n < 0 ? NULL : s);
}

int strv_extend(Strv *l, const Strv more)
{
        STRV_FOREACH (s, more) {
                int r = strv_append(l, *s);
                if (r < 0)
                        return r;
        }
        return 0;
}

Strv strv_copy(const Strv l)
{
        Strv copy = calloc(strv_length(l) + 1, sizeof(char *));

        if (!copy)
                return NULL;
        for (size_t i = 0; l && l[i]; i++) {
                copy[i] = strdup(l[i]);
                if (!copy[i]) {
                        strv_free(copy);
                        return NULL;
                }
        }
        return copy;
}

int strv_env_set(Strv *l, const char *assignment)
{
        size_t n = strcspn(assignment, "=");

        STRV_FOREACH (s, *l)
                if (strncmp(*s, assignment, n) == 0 && (*s)[n] == '=')
                        return free_and_strdup(s, assignment);
        return strv_append(l, assignment);
}

const char *strv_env_get(const Strv l, const char *name)
{
        size_t n = strlen(name);

        STRV_FOREACH (s, l)
                if (strncmp(*s, name, n) == 0 && (*s)[n] == '=')
                        return *s + n + 1;
        return NULL;
}

char *strv_join(const Strv l, const char *separator)
{
        size_t size = 1;

        STRV_FOREACH (s, l)
                size += strlen(*s) + strlen(separator);

        char *out = malloc(size), *p = out;
        if (!out)
                return NULL;
        *p = 0;
        STRV_FOREACH (s, l) {
                if (s != l)
                        p = stpcpy(p, separator);
                p = stpcpy(p, *s);
        }
        return out;
}

int strv_split_words(const char *line, Strv *ret)
{
        _cleanup_strv_ Strv l = NULL;

        for (const char *p = line;;) {
                p += strspn(p, " \t\n\r");
                if (!*p)
                        break;

                char *word = malloc(strlen(p) + 1), *w = word, quote = 0;
                OOM_CHECK(word);
                for (; *p; p++) {
                        if (*p == '\\' && p[1] && quote != '\'')
                                *w++ = *++p;
                        else if (quote && *p == quote)
                                quote = 0;
                        else if (!quote && (*p == '\'' || *p == '"'))
                                quote = *p;
                        else if (!quote && strchr(" \t\n\r", *p))
                                break;
                        else
                                *w++ = *p;
                }
                *w = 0;
                if (quote) {
                        free(word);
                        return -EINVAL;
                }
                int r = strv_consume(&l, word);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(l);
        return 0;
}

char *strv_join_words(const Strv l)
{
        size_t size = 1;

        STRV_FOREACH (s, l)
                size += strlen(*s) * 2 + 3;

        char *out = malloc(size), *p = out;
        if (!out)
                return NULL;
        STRV_FOREACH (s, l) {
                bool quote = !**s || strpbrk(*s, " \t\n\r'\"\\");
                if (s != l)
                        *p++ = ' ';
                if (quote)
                        *p++ = '"';
                for (const char *c = *s; *c; c++) {
                        if (*c == '"' || *c == '\\')
                                *p++ = '\\';
                        *p++ = *c;
                }
                if (quote)
                        *p++ = '"';
        }
        *p = 0;
        return out;
}

unsigned edit_distance(const char *a, const char *b)
{
        unsigned row[64];
        size_t m = strlen(b);

        if (m >= ELEMENTSOF(row))
                return UINT32_MAX;
        for (size_t j = 0; j <= m; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                unsigned diagonal = row[0];
                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        unsigned above = row[j];
                        unsigned change = diagonal + (tolower(a[i - 1]) != tolower(b[j - 1]));
                        row[j] = MIN(change, MIN(above, row[j - 1]) + 1);
                        diagonal = above;
                }
        }
        return row[m];
}

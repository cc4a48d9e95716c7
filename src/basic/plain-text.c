/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/plain-text.h"

/* What a control function begins (ECMA-48, 5): the second byte of its form with ESC. */
static void begin(PlainText *p, unsigned char c)
{
        if (c == '[')
                p->state = PLAIN_CONTROL;
        else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
                p->state = PLAIN_STRING;
        else
                p->state = c >= 0x20 && c <= 0x2f ? PLAIN_CHARSET : PLAIN_TEXT;
}

/* Text, in which a C1 function can be a character of two bytes, or one byte that is part of none. */
static size_t text(PlainText *p, unsigned char c, char *ret)
{
        bool continues = p->n_left > 0 && c >= 0x80 && c <= 0xbf;
        bool held = p->held;

        p->held = false;
        p->n_left = continues ? p->n_left - 1 : 0;
        if (c >= 0x80 && c <= 0x9f && (held || !continues)) {
                begin(p, c - 0x40);
                return 0;
        }
        size_t n = 0;
        if (held)
                ret[n++] = (char) 0xc2;
        if (c == 0x1b)
                p->state = PLAIN_ESCAPE;
        else if (c == 0xc2)
                p->held = true; /* until it is known what it is the beginning of */
        if (c >= 0xc2 && c <= 0xf4)
                p->n_left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (!p->held && (c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t'))
                ret[n++] = (char) c;
        return n;
}

/* What is left of a byte, at most two: one may have been held back. A line break ends whatever there is. */
static size_t step(PlainText *p, unsigned char c, char *ret)
{
        bool line_break = c == '\n';

        switch (p->state) {
        case PLAIN_TEXT:
                return text(p, c, ret);
        case PLAIN_ESCAPE:
                begin(p, c);
                break;
        case PLAIN_CONTROL:
                if (c == 0x1b)
                        p->state = PLAIN_ESCAPE;
                else if (c >= 0x40 && c <= 0x7e)
                        p->state = PLAIN_TEXT;
                break;
        case PLAIN_STRING:
                if (c == 0x1b)
                        p->state = PLAIN_STRING_ESCAPE;
                else if (c == 0x07 || c == 0x9c)
                        p->state = PLAIN_TEXT;
                break;
        case PLAIN_STRING_ESCAPE: /* ST is ESC \ */
        case PLAIN_CHARSET:
                p->state = PLAIN_TEXT;
                break;
        }
        if (!line_break)
                return 0;
        p->state = PLAIN_TEXT;
        ret[0] = '\n';
        return 1;
}

size_t plain_text(PlainText *p, const char *data, size_t n, char *ret)
{
        size_t k = 0;

        for (size_t i = 0; i < n; i++)
                k += step(p, data[i], ret + k);
        return k;
}

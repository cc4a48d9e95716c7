/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/plain-text.h"

/* Begins a control function: `c` follows ESC in the 7-bit form of the function (ECMA-48, 5). */
static void begin(PlainText *p, unsigned char c)
{
        if (c == '[')
                p->state = PLAIN_CONTROL;
        else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
                p->state = PLAIN_STRING;
        else
                p->state = c >= 0x20 && c <= 0x2f ? PLAIN_CHARSET : PLAIN_TEXT;
}

/* Handles a byte in the state PLAIN_TEXT. A C1 control is either a UTF-8 character, 0xc2 and a byte of
 * 0x80…0x9f, or a single byte of 0x80…0x9f that does not continue a character. */
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
                p->held = true; /* until the next byte tells whether this is a C1 control */
        if (c >= 0xc2 && c <= 0xf4)
                p->n_left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (!p->held && (c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t'))
                ret[n++] = (char) c;
        return n;
}

/* Writes the text that a byte adds to `ret`, and returns its size: at most two bytes, since a byte may have
 * been held back. A line break ends any control function. */
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

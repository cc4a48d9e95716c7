/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/plain-text.h"

/* Whether the byte is text. */
static bool step(PlainText *p, unsigned char c)
{
        switch (p->state) {
        case PLAIN_TEXT:
                if (c == 0x1b)
                        p->state = PLAIN_ESCAPE;
                return c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t';
        case PLAIN_ESCAPE:
                if (c == '[')
                        p->state = PLAIN_CONTROL;
                else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
                        p->state = PLAIN_STRING;
                else
                        p->state = c >= 0x20 && c <= 0x2f ? PLAIN_CHARSET : PLAIN_TEXT;
                return c == '\n';
        case PLAIN_CONTROL:
                if (c == 0x1b)
                        p->state = PLAIN_ESCAPE;
                else if ((c >= 0x40 && c <= 0x7e) || c == '\n')
                        p->state = PLAIN_TEXT;
                return c == '\n';
        case PLAIN_STRING:
                if (c == 0x1b)
                        p->state = PLAIN_STRING_ESCAPE;
                else if (c == 0x07 || c == '\n')
                        p->state = PLAIN_TEXT;
                return c == '\n';
        case PLAIN_STRING_ESCAPE: /* ST is ESC \ */
        case PLAIN_CHARSET:
                p->state = PLAIN_TEXT;
                return c == '\n';
        }
        return false;
}

size_t plain_text(PlainText *p, const char *data, size_t n, char *ret)
{
        size_t k = 0;

        for (size_t i = 0; i < n; i++)
                if (step(p, data[i]))
                        ret[k++] = data[i];
        return k;
}

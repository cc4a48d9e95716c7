/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* What was written for a terminal, as text: without what moves the cursor, sets colours or asks the terminal something
 * (ECMA-48, as escape sequences and as C1 characters), and without control characters but line breaks and tabs. It may come in pieces. */

typedef struct PlainText {
        enum {
                PLAIN_TEXT,
                PLAIN_ESCAPE,  /* after ESC */
                PLAIN_CHARSET, /* after a byte that one more belongs to */
                PLAIN_CONTROL, /* in a control sequence, until a final byte */
                PLAIN_STRING,  /* in a control string, until ST or BEL */
                PLAIN_STRING_ESCAPE,
        } state;
        bool held;       /* a byte 0xc2, which C1 characters begin with */
        unsigned n_left; /* bytes that the character at hand has yet */
} PlainText;

/* Copies the text of n bytes, and returns how much it is; ret must have room for n + 1, since a byte may have been held back, and
 * is not where they are. */
size_t plain_text(PlainText *state, const char *data, size_t n, char *ret);

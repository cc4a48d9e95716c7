/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Converts output for a terminal to plain text. Removes control functions (ECMA-48, as escape sequences and
 * as C1 controls), which move the cursor, set colours or query the terminal. Removes control characters
 * other than line breaks and tabs. The output may come in pieces. */

typedef struct PlainText {
        enum {
                PLAIN_TEXT,
                PLAIN_ESCAPE,  /* after ESC */
                PLAIN_CHARSET, /* in an escape sequence that ends with the next byte */
                PLAIN_CONTROL, /* in a control sequence, until the final byte */
                PLAIN_STRING,  /* in a control string, until ST or BEL */
                PLAIN_STRING_ESCAPE,
        } state;
        bool held;       /* a byte 0xc2 is held back, which may begin a C1 control */
        unsigned n_left; /* bytes that the current character still needs */
} PlainText;

/* Converts n bytes and returns the size of the text. `ret` must have room for n + 1 bytes, because a byte
 * may have been held back before, and must not overlap `data`. */
size_t plain_text(PlainText *state, const char *data, size_t n, char *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/plain-text.h"
#include "test.h"

/* The same however it comes in pieces. */
static void check(const char *data, const char *expected)
{
        size_t size = strlen(data);

        for (size_t piece = 1; piece <= size; piece++) {
                PlainText state = {};
                char result[256];
                size_t n = 0;

                for (size_t at = 0; at < size; at += piece)
                        n += plain_text(&state, data + at, MIN(piece, size - at), result + n);
                result[n] = 0;
                if (!CHECK_TEXT(result, expected))
                        return;
        }
}

int main(void)
{
        check("plain\ttext\n", "plain\ttext\n");
        check("\033[31mred\033[0m\r\n", "red\n");
        check("a\033]0;title\007b\033]0;title\033\\\\c", "ab\\c");
        check("a\033Pq;1\033\\b", "ab");
        check("a\033(Bb\0337c", "abc");
        check("a\033[1;2\nb", "a\nb");
        /* C1, as characters of two bytes and as bytes. */
        check("a\302\2336nb", "ab");
        check("a\302\2350;title\007b", "ab");
        check("a\2336nb\205c", "abc");
        /* Text of all lengths, in which such bytes are parts of characters. */
        check("\303\233 \342\202\254 \360\237\230\200 \302\251",
              "\303\233 \342\202\254 \360\237\230\200 \302\251");
        check("\303\244\b\177", "\303\244");
        return test_end();
}

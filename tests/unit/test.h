/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* Each test is a program: it goes on after a failed check, says where it was, and ends with test_end().
 * Nothing here depends on assert(), which NDEBUG takes away. */

static unsigned test_checks, test_failures;

#define CHECK(expression)           test_check(expression, __FILE__, __LINE__, #expression)
#define CHECK_INT(value, expected)  test_check_int(value, expected, __FILE__, __LINE__, #value)
#define CHECK_TEXT(value, expected) test_check_text(value, expected, __FILE__, __LINE__, #value)

static inline bool test_check(bool good, const char *file, int line, const char *text)
{
        test_checks++;
        if (!good) {
                test_failures++;
                fprintf(stderr, "%s:%i: not so: %s\n", file, line, text);
        }
        return good;
}

static inline bool test_check_int(int64_t value, int64_t expected, const char *file, int line,
                                  const char *text)
{
        test_checks++;
        if (value != expected) {
                test_failures++;
                fprintf(stderr, "%s:%i: %s is %lli, expected %lli\n", file, line, text, (long long) value,
                        (long long) expected);
        }
        return value == expected;
}

static inline bool test_check_text(const char *value, const char *expected, const char *file, int line,
                                   const char *text)
{
        bool good = streq_ptr(value, expected);

        test_checks++;
        if (!good) {
                test_failures++;
                fprintf(stderr, "%s:%i: %s is\n\t%s\nexpected\n\t%s\n", file, line, text,
                        value ? value : "(none)", expected ? expected : "(none)");
        }
        return good;
}

static inline int test_end(void)
{
        printf("%u checks, %u failed\n", test_checks, test_failures);
        return test_failures > 0 || test_checks == 0;
}

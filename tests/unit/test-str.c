/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/failure.h"
#include "test.h"

static void test_clean(void)
{
        static const char *const clean[] = {
                "",       "a",          " ~",         "\u00a0",        "ä", "€", "\ud7ff",
                "\ue000", "\U00010000", "\U0010ffff", "a ä € 🙂",
        };
        static const char *const unclean[] = {
                "\n",
                "\t",
                "\x01",
                "\x1b[31m",
                "\x1f",
                "\x7f",
                "a\rb",
                "\xc2\x80",
                "\xc2\x9b",
                "\xc2\x9f", /* C1 */
                "\x80",
                "\xbf",
                "\xff",
                "\xfe", /* no first byte */
                "\xc0\x80",
                "\xc1\xbf",
                "\xe0\x80\x80",
                "\xe0\x9f\xbf", /* longer than need be */
                "\xf0\x80\x80\x80",
                "\xf0\x8f\xbf\xbf",
                "\xc0\xaf",
                "\xed\xa0\x80",
                "\xed\xbf\xbf", /* surrogates */
                "\xf4\x90\x80\x80",
                "\xf5\x80\x80\x80",
                "\xf8\x88\x80\x80\x80",
                "\xc3",
                "\xe2\x82",
                "\xf0\x9f\x99",
                "\xc3(",
                "ab\xe2\x82\x63", /* cut off */
        };

        for (size_t i = 0; i < ELEMENTSOF(clean); i++)
                if (!CHECK(str_is_clean(clean[i])))
                        fprintf(stderr, "\tthat is row %zu\n", i);
        for (size_t i = 0; i < ELEMENTSOF(unclean); i++) {
                if (!CHECK(!str_is_clean(unclean[i])))
                        fprintf(stderr, "\tthat is row %zu\n", i);
                _cleanup_free_ char *escaped = str_escape(unclean[i]);
                CHECK(escaped && str_is_clean(escaped));
        }
}

static void test_escape(void)
{
        static const struct {
                const char *in, *out;
        } table[] = {
                { "", "" },
                { "plain text", "plain text" },
                { "ä€", "ä€" },
                { "\x1b[31mred", "\\x1b[31mred" },
                { "a\nb", "a\\x0ab" },
                { "\xff\xc3", "\\xff\\xc3" },
                { "\xc2\x9b"
                  "x",
                  "\\xc2\\x9bx" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *s = str_escape(table[i].in);
                CHECK_TEXT(s, table[i].out);
        }
}

static void test_affixes(void)
{
        CHECK_TEXT(startswith("foobar", "foo"), "bar");
        CHECK_TEXT(startswith("foo", "foo"), "");
        CHECK(!startswith("fo", "foo"));
        CHECK_TEXT(endswith("web.service", ".service"), ".service");
        CHECK(!endswith("service", ".service"));
        CHECK(streq_ptr(NULL, NULL));
        CHECK(!streq_ptr("a", NULL));
        CHECK(isempty(NULL) && isempty("") && !isempty("a"));
}

static void test_list(void)
{
        _cleanup_strv_ Strv l = NULL, copy = NULL;
        _cleanup_free_ char *joined = NULL;

        CHECK_INT(strv_length(l), 0);
        CHECK_INT(strv_append(&l, "a"), 0);
        CHECK_INT(strv_appendf(&l, "%i", 7), 0);
        CHECK_INT(strv_extend(&l, (char *[]){ "c", "d", NULL }), 0);
        CHECK_INT(strv_length(l), 4);
        CHECK(strv_contains(l, "7") && !strv_contains(l, "8"));
        joined = strv_join(l, ", ");
        CHECK_TEXT(joined, "a, 7, c, d");

        copy = strv_copy(l);
        CHECK_INT(strv_length(copy), 4);
        CHECK(copy && copy[0] != l[0] && streq(copy[3], "d"));

        _cleanup_strv_ Strv nothing = strv_copy(NULL);
        CHECK_INT(strv_length(nothing), 0);
        _cleanup_free_ char *empty = strv_join(NULL, ",");
        CHECK_TEXT(empty, "");
}

static void test_env_set(void)
{
        _cleanup_strv_ Strv l = NULL;

        CHECK_INT(strv_env_set(&l, "A=1"), 0);
        CHECK_INT(strv_env_set(&l, "AB=2"), 0);
        CHECK_INT(strv_env_set(&l, "A=3=4"), 0);
        CHECK_INT(strv_env_set(&l, "AB="), 0);
        CHECK_INT(strv_length(l), 2);
        CHECK_TEXT(l[0], "A=3=4");
        CHECK_TEXT(l[1], "AB=");
}

static void test_words(void)
{
        static const struct {
                const char *line;
                const char *words[5];
        } table[] = {
                { "", {} },
                { " \t ", {} },
                { "one", { "one" } },
                { "  one   two\t\tthree ", { "one", "two", "three" } },
                { "'one two' three", { "one two", "three" } },
                { "\"one 'two'\" th\\ ree", { "one 'two'", "th ree" } },
                { "a\"b c\"d", { "ab cd" } },
                { "'' x \"\"", { "", "x", "" } },
                { "'back\\slash'", { "back\\slash" } },
                { "\"quo\\\"te\"", { "quo\"te" } },
                { "a\\\\b", { "a\\b" } },
        };
        static const char *const bad[] = { "'", "\"", "a 'b", "a \"b\\\"", "'a' \"" };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ Strv l = NULL;

                CHECK_INT(strv_split_words(table[i].line, &l), 0);
                for (size_t k = 0; k < 5; k++) {
                        const char *word = strv_length(l) > k ? l[k] : NULL;
                        CHECK_TEXT(word, table[i].words[k]);
                }
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Strv l = NULL;
                if (!CHECK_INT(strv_split_words(bad[i], &l), -EINVAL))
                        fprintf(stderr, "\tthat is: %s\n", bad[i]);
        }
}

/* What is joined comes apart as it was. */
static void test_words_round_trip(void)
{
        static char *lists[][6] = {
                { "a", "b", NULL },
                { "", NULL },
                { "one two", "'", "\"", "\\", NULL },
                { "tab\there", "\\\\", "a'b\"c\\d", "", NULL },
                { "ä €", " ", "$HOME", "%i", NULL },
                { "\n", "\r", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                _cleanup_free_ char *line = strv_join_words(lists[i]);
                _cleanup_strv_ Strv l = NULL;

                CHECK_INT(strv_split_words(line, &l), 0);
                if (!CHECK_INT(strv_length(l), strv_length(lists[i])))
                        continue;
                for (size_t k = 0; lists[i][k]; k++)
                        CHECK_TEXT(l[k], lists[i][k]);
        }
}

/* The last text counts, also where it is made of the one before. */
static void test_failure(void)
{
        _cleanup_free_ char *error = NULL;

        CHECK_INT(set_failure(&error, -EBUSY, "Image '%s' is busy.", "i"), -EBUSY);
        CHECK_TEXT(error, "Image 'i' is busy.");
        CHECK_INT(set_failure(&error, -EIO, "No: %s", error), -EIO);
        CHECK_TEXT(error, "No: Image 'i' is busy.");
        CHECK_INT(set_failure_errno(&error, -ENOENT, "Failed to open '%s'", "f"), -ENOENT);
        CHECK_TEXT(error, "Failed to open 'f': No such file or directory");
}

int main(void)
{
        test_clean();
        test_escape();
        test_affixes();
        test_list();
        test_env_set();
        test_words();
        test_words_round_trip();
        test_failure();
        return test_end();
}

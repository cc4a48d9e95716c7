/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "basic/parse.h"
#include "test.h"

static void named(bool good, const char *what)
{
        if (!good)
                fprintf(stderr, "\tthat is: '%s'\n", what);
}

static void test_boolean(void)
{
        static const char *const yes[] = { "yes", "true", "on", "1", "y", "t", "YES", "True", "oN" };
        static const char *const no[] = { "no", "false", "off", "0", "n", "f", "NO", "False", "oFF" };
        static const char *const bad[] = { "",   " ",  "yes ", " yes",      "ja", "2",
                                           "10", "-1", "yess", "truefalse", "+1" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                named(CHECK_INT(parse_boolean(yes[i]), 1), yes[i]);
        for (size_t i = 0; i < ELEMENTSOF(no); i++)
                named(CHECK_INT(parse_boolean(no[i]), 0), no[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                named(CHECK_INT(parse_boolean(bad[i]), -EINVAL), bad[i]);
}

static void test_u64(void)
{
        static const struct {
                const char *text;
                int error;
                uint64_t value;
        } table[] = {
                { "0", 0, 0 },
                { "7", 0, 7 },
                { "007", 0, 7 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE },
                { "99999999999999999999", -ERANGE },
                { "340282366920938463463374607431768211456", -ERANGE },
                { "", -EINVAL },
                { " 1", -EINVAL },
                { "1 ", -EINVAL },
                { "+1", -EINVAL },
                { "-1", -EINVAL },
                { "1x", -EINVAL },
                { "0x10", -EINVAL },
                { "1.0", -EINVAL },
                { "1e3", -EINVAL },
                { "\xd9\xa1", -EINVAL },
        };
        uint64_t v;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                v = 4711;
                named(CHECK_INT(parse_u64(table[i].text, 0, UINT64_MAX, &v), table[i].error), table[i].text);
                CHECK(v == (table[i].error < 0 ? 4711 : table[i].value));
        }
        CHECK_INT(parse_u64("5", 5, 5, &v), 0);
        CHECK_INT(parse_u64("4", 5, 6, &v), -ERANGE);
        CHECK_INT(parse_u64("7", 5, 6, &v), -ERANGE);
}

static void test_size(void)
{
        static const struct {
                const char *text;
                int error;
                uint64_t value;
        } table[] = {
                { "0", 0, 0 },
                { "1", 0, 1 },
                { "1B", 0, 1 },
                { "1K", 0, 1024 },
                { "1M", 0, 1 << 20 },
                { "1.5G", 0, 3 * (UINT64_C(1) << 29) },
                { "0.5K", 0, 512 },
                { "2T", 0, UINT64_C(2) << 40 },
                { "3P", 0, UINT64_C(3) << 50 },
                { "15E", 0, UINT64_C(15) << 60 },
                { "16E", -ERANGE },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE },
                { "18014398509481984K", -ERANGE },
                { "", -EINVAL },
                { "K", -EINVAL },
                { "1k", -EINVAL },
                { "1KB", -EINVAL },
                { "1 K", -EINVAL },
                { " 1K", -EINVAL },
                { "1K ", -EINVAL },
                { "-1K", -EINVAL },
                { "+1", -EINVAL },
                { "1.K", -EINVAL },
                { ".5K", -EINVAL },
                { "1x", -EINVAL },
                { "1.5.5", -EINVAL },
                { "infinity", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t v = 4711;
                named(CHECK_INT(parse_size(table[i].text, 1024, &v), table[i].error), table[i].text);
                named(CHECK(v == (table[i].error < 0 ? 4711 : table[i].value)), table[i].text);
        }
}

static void test_timespan(void)
{
        static const struct {
                const char *text;
                int error;
                uint64_t value;
        } table[] = {
                { "0", 0, 0 },
                { "5", 0, 5 * USEC_PER_SEC },
                { "1s", 0, USEC_PER_SEC },
                { "5min 20s", 0, 320 * USEC_PER_SEC },
                { "5min20s", 0, 320 * USEC_PER_SEC },
                { "1.5h", 0, 5400 * USEC_PER_SEC },
                { "300ms", 0, 300 * USEC_PER_MSEC },
                { "20us", 0, 20 },
                { "20µs", 0, 20 },
                { "2 days 1 hour", 0, 49 * 3600 * USEC_PER_SEC },
                { "1week", 0, 7 * 86400 * USEC_PER_SEC },
                { "1m", 0, 60 * USEC_PER_SEC },
                { "infinity", 0, USEC_INFINITY },
                { "", -EINVAL },
                { " ", -EINVAL },
                { " 5s", -EINVAL },
                { "-5s", -EINVAL },
                { "+5s", -EINVAL },
                { "5x", -EINVAL },
                { "s", -EINVAL },
                { "5 s x", -EINVAL },
                { "5..5s", -EINVAL },
                { "infinity 5s", -EINVAL },
                { "99999999999999999999s", -ERANGE },
                { "18446744073710s", -ERANGE },
                { "18446744073709s 551616us", -ERANGE },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t v = 4711;
                named(CHECK_INT(parse_timespan(table[i].text, USEC_PER_SEC, &v), table[i].error),
                      table[i].text);
                named(CHECK(v == (table[i].error < 0 ? 4711 : table[i].value)), table[i].text);
        }

        uint64_t v;
        CHECK_INT(parse_timespan("250", USEC_PER_MSEC, &v), 0);
        CHECK(v == 250 * USEC_PER_MSEC);
}

static void test_numbers(void)
{
        pid_t pid;
        uid_t uid;

        CHECK_INT(parse_pid("1", &pid), 0);
        CHECK_INT(pid, 1);
        CHECK_INT(parse_pid("2147483647", &pid), 0);
        CHECK_INT(parse_pid("0", &pid), -ERANGE);
        CHECK_INT(parse_pid("2147483648", &pid), -ERANGE);
        CHECK_INT(parse_pid("-1", &pid), -EINVAL);
        CHECK_INT(parse_pid("1x", &pid), -EINVAL);

        CHECK_INT(parse_uid("0", &uid), 0);
        CHECK_INT(uid, 0);
        CHECK_INT(parse_uid("65534", &uid), 0);
        CHECK_INT(parse_uid("65536", &uid), 0);
        CHECK_INT(parse_uid("4294967294", &uid), 0);
        CHECK(uid == 4294967294U);
        CHECK_INT(parse_uid("65535", &uid), -ERANGE);
        CHECK_INT(parse_uid("4294967295", &uid), -ERANGE);
        CHECK_INT(parse_uid("-1", &uid), -EINVAL);
        CHECK_INT(parse_uid("root", &uid), -EINVAL);
}

static void test_id128(void)
{
        static const uint8_t expected[16] = {
                0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
        };
        static const char *const good[] = {
                "0123456789abcdeffedcba9876543210",
                "0123456789ABCDEFFEDCBA9876543210",
                "01234567-89ab-cdef-fedc-ba9876543210",
        };
        static const char *const bad[] = {
                "",
                "0123456789abcdeffedcba987654321",
                "0123456789abcdeffedcba98765432100",
                "0123456789abcdeffedcba987654321g",
                "01234567-89ab-cdef-fedc-ba987654321",
                "01234567089ab-cdef-fedc-ba9876543210",
                "012345678-9ab-cdef-fedc-ba9876543210",
                "-1234567-89ab-cdef-fedc-ba9876543210",
                " 123456789abcdeffedcba9876543210",
                "0123456789abcdeffedcba987654321\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                uint8_t id[16] = {};
                CHECK_INT(parse_id128(good[i], id), 0);
                CHECK(memcmp(id, expected, sizeof(id)) == 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                uint8_t id[16];
                named(CHECK_INT(parse_id128(bad[i], id), -EINVAL), bad[i]);
        }
}

static void test_signals(void)
{
        static const char *const bad[] = {
                "",      "SIG",   "TERMX",   "SIGSIGTERM", "term",     "0",
                "-1",    "65",    "RTMIN-1", "RTMIN+99",   "RTMAX+1",  "RTMAX-99",
                " TERM", "TERM ", "RTMIN+",  "15x",        "RTMIN+-1",
        };
        char buf[SIGNAL_NAME_MAX];

        for (int sig = 1; sig <= SIGRTMAX; sig++) {
                /* Those between are glibc's own, and have no name. */
                const char *name = signal_to_string(sig, buf);
                CHECK_INT(signal_from_string(name), sig);
                if (sig < 32 || sig >= SIGRTMIN) {
                        CHECK(startswith(name, "SIG"));
                        CHECK_INT(signal_from_string(name + 3), sig);
                }
        }
        CHECK_INT(signal_from_string("SIGTERM"), SIGTERM);
        CHECK_INT(signal_from_string("KILL"), SIGKILL);
        CHECK_INT(signal_from_string("15"), 15);
        CHECK_INT(signal_from_string("SIGRTMIN+4"), SIGRTMIN + 4);
        CHECK_INT(signal_from_string("RTMAX"), SIGRTMAX);
        CHECK_INT(signal_from_string("RTMAX-1"), SIGRTMAX - 1);
        CHECK_TEXT(signal_to_string(SIGRTMIN + 4, buf), "SIGRTMIN+4");
        CHECK_TEXT(signal_to_string(SIGHUP, buf), "SIGHUP");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                named(CHECK(signal_from_string(bad[i]) < 0), bad[i]);
}

int main(void)
{
        test_boolean();
        test_u64();
        test_size();
        test_timespan();
        test_numbers();
        test_id128();
        test_signals();
        return test_end();
}

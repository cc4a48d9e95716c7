/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <signal.h>
#include <strings.h>

#include "basic/parse.h"
#include "basic/str.h"

int parse_boolean(const char *s)
{
        static const char *const words[][2] = {
                { "no", "yes" }, { "false", "true" }, { "off", "on" },
                { "0", "1" },    { "n", "y" },        { "f", "t" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                for (int value = 0; value < 2; value++)
                        if (strcasecmp(s, words[i][value]) == 0)
                                return value;
        return -EINVAL;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (!*s)
                return -EINVAL;
        for (; *s; s++) {
                if (!isdigit((unsigned char) *s))
                        return -EINVAL;
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
                        return -ERANGE;
        }
        if (v < min || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

/* Reads digits with an optional fraction, which is returned in units of 1e-9. */
static int read_fixed_point(const char **p, uint64_t *ret_whole, uint64_t *ret_nano)
{
        uint64_t whole = 0, nano = 0, scale = UINT64_C(100000000);
        const char *s = *p;

        if (!isdigit((unsigned char) *s))
                return -EINVAL;
        for (; isdigit((unsigned char) *s); s++)
                if (__builtin_mul_overflow(whole, 10, &whole) ||
                    __builtin_add_overflow(whole, *s - '0', &whole))
                        return -ERANGE;
        if (*s == '.') {
                s++;
                if (!isdigit((unsigned char) *s))
                        return -EINVAL;
                for (; isdigit((unsigned char) *s); s++, scale /= 10)
                        nano += scale * (*s - '0');
        }
        *p = s;
        *ret_whole = whole;
        *ret_nano = nano;
        return 0;
}

static int scale_fixed_point(uint64_t whole, uint64_t nano, uint64_t factor, uint64_t *ret)
{
        if (__builtin_mul_overflow(whole, factor, &whole))
                return -ERANGE;
        unsigned __int128 fraction = (unsigned __int128) nano * factor / 1000000000U;
        if (__builtin_add_overflow(whole, (uint64_t) fraction, ret))
                return -ERANGE;
        return 0;
}

int parse_size(const char *s, unsigned base, uint64_t *ret)
{
        static const char suffixes[] = "KMGTPE";
        uint64_t whole, nano, factor = 1;
        int r;

        r = read_fixed_point(&s, &whole, &nano);
        if (r < 0)
                return r;
        if (*s && !streq(s, "B")) {
                const char *p = strchr(suffixes, *s);
                if (!p || s[1])
                        return -EINVAL;
                for (const char *q = suffixes; q <= p; q++)
                        factor *= base;
        }
        return scale_fixed_point(whole, nano, factor, ret);
}

int parse_timespan(const char *s, uint64_t unit, uint64_t *ret_usec)
{
        static const struct {
                const char *names; /* NUL separated */
                uint64_t usec;
        } units[] = {
                { "seconds\0second\0sec\0s\0", USEC_PER_SEC },
                { "minutes\0minute\0min\0m\0", 60 * USEC_PER_SEC },
                { "msec\0ms\0", USEC_PER_MSEC },
                { "usec\0us\0µs\0", 1 },
                { "hours\0hour\0hr\0h\0", 3600 * USEC_PER_SEC },
                { "days\0day\0d\0", 86400 * USEC_PER_SEC },
                { "weeks\0week\0w\0", 7 * 86400 * USEC_PER_SEC },
        };
        uint64_t total = 0;
        int r;

        if (streq(s, "infinity")) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }

        do {
                uint64_t whole, nano, factor = 0, part;

                r = read_fixed_point(&s, &whole, &nano);
                if (r < 0)
                        return r;
                s += strspn(s, " ");

                size_t n = 0;
                while (s[n] && s[n] != ' ' && !isdigit((unsigned char) s[n]))
                        n++;
                if (n == 0)
                        factor = unit;
                for (size_t i = 0; i < ELEMENTSOF(units) && factor == 0; i++)
                        for (const char *name = units[i].names; *name; name += strlen(name) + 1)
                                if (strlen(name) == n && strncmp(s, name, n) == 0)
                                        factor = units[i].usec;
                if (factor == 0)
                        return -EINVAL;
                s += n;
                s += strspn(s, " ");

                r = scale_fixed_point(whole, nano, factor, &part);
                if (r < 0 || __builtin_add_overflow(total, part, &total))
                        return -ERANGE;
        } while (*s);

        *ret_usec = total;
        return 0;
}

int parse_number_set(const char *s, uint8_t *mask, size_t size, size_t *ret_used)
{
        _cleanup_free_ char *copy = strdup(s);
        size_t used = 0;

        OOM_CHECK(copy);
        memset(mask, 0, size);
        for (char *state, *range = strtok_r(copy, ", ", &state); range;
             range = strtok_r(NULL, ", ", &state)) {
                char *dash = strchr(range, '-');
                uint64_t from, to;
                int r;

                if (dash)
                        *dash = 0;
                r = parse_u64(range, 0, size * 8 - 1, &from);
                if (r >= 0)
                        r = parse_u64(dash ? dash + 1 : range, from, size * 8 - 1, &to);
                if (r < 0)
                        return r;
                for (uint64_t i = from; i <= to; i++)
                        mask[i / 8] |= 1U << (i % 8);
                used = MAX(used, to / 8 + 1);
        }
        if (used == 0)
                return -EINVAL;
        if (ret_used)
                *ret_used = used;
        return 0;
}

int parse_pid(const char *s, pid_t *ret)
{
        uint64_t v;
        int r = parse_u64(s, 1, INT32_MAX, &v);

        if (r >= 0)
                *ret = v;
        return r;
}

int parse_uid(const char *s, uid_t *ret)
{
        uint64_t v;
        int r = parse_u64(s, 0, UINT32_MAX - 1, &v);

        if (r < 0)
                return r;
        if (v == UINT16_MAX)
                return -ERANGE;
        *ret = v;
        return 0;
}

int parse_id128(const char *s, uint8_t ret[16])
{
        size_t n = strlen(s);
        bool uuid = n == 36;

        if (!uuid && n != 32)
                return -EINVAL;
        for (size_t i = 0, digits = 0; i < n; i++) {
                if (uuid && (i == 8 || i == 13 || i == 18 || i == 23)) {
                        if (s[i] != '-')
                                return -EINVAL;
                        continue;
                }
                if (!isxdigit((unsigned char) s[i]))
                        return -EINVAL;
                uint8_t v = isdigit((unsigned char) s[i]) ? s[i] - '0' : tolower(s[i]) - 'a' + 10;
                ret[digits / 2] = digits % 2 ? ret[digits / 2] | v : v << 4;
                digits++;
        }
        return 0;
}

int signal_from_string(const char *s)
{
        uint64_t v;
        char *e;

        if (parse_u64(s, 1, SIGRTMAX, &v) >= 0)
                return v;
        if ((e = startswith(s, "SIG")))
                s = e;
        for (int i = 1; i < SIGRTMIN; i++) {
                const char *name = sigabbrev_np(i);
                if (name && streq(s, name))
                        return i;
        }
        if (streq(s, "RTMIN"))
                return SIGRTMIN;
        if (streq(s, "RTMAX"))
                return SIGRTMAX;
        if ((e = startswith(s, "RTMIN+")) && parse_u64(e, 0, SIGRTMAX - SIGRTMIN, &v) >= 0)
                return SIGRTMIN + v;
        if ((e = startswith(s, "RTMAX-")) && parse_u64(e, 0, SIGRTMAX - SIGRTMIN, &v) >= 0)
                return SIGRTMAX - v;
        return -EINVAL;
}

const char *signal_to_string(int sig, char buf[SIGNAL_NAME_MAX])
{
        const char *name = sig < SIGRTMIN ? sigabbrev_np(sig) : NULL;

        if (name)
                snprintf(buf, SIGNAL_NAME_MAX, "SIG%s", name);
        else if (sig >= SIGRTMIN && sig <= SIGRTMAX)
                snprintf(buf, SIGNAL_NAME_MAX, "SIGRTMIN+%i", sig - SIGRTMIN);
        else
                snprintf(buf, SIGNAL_NAME_MAX, "%i", sig);
        return buf;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/log.h"

static int max_level = LOG_INFO;

void log_set_max_level(int level)
{
        max_level = level;
}

static int level_from_string(const char *text)
{
        static const char *const names[] = { "emerg",   "alert",  "crit", "err",
                                             "warning", "notice", "info", "debug" };

        for (int i = 0; i < (int) ELEMENTSOF(names); i++)
                if (strcmp(text, names[i]) == 0 || (text[0] == '0' + i && !text[1]))
                        return i;
        return -EINVAL;
}

void log_open(void)
{
        static const char *const variables[] = { "MCTL_LOG_LEVEL", "SYSTEMD_LOG_LEVEL" };

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                const char *text = getenv(variables[i]);
                int level = text ? level_from_string(text) : -EINVAL;
                if (level >= 0) {
                        max_level = level;
                        return;
                }
        }
}

static bool stderr_is_journal(void)
{
        static int cached = -1;

        if (cached < 0) {
                const char *e = getenv("JOURNAL_STREAM");
                unsigned long long device, inode;
                struct stat st;

                cached = e && sscanf(e, "%llu:%llu", &device, &inode) == 2 &&
                         fstat(STDERR_FILENO, &st) >= 0 && st.st_dev == device && st.st_ino == inode;
        }
        return cached;
}

int log_line(int level, int error, const char *format, ...)
{
        char line[2048];
        size_t n = 0;
        va_list ap;

        if (level > max_level)
                return error;

        if (stderr_is_journal())
                n = snprintf(line, sizeof(line), "<%i>", level);

        va_start(ap, format);
        vsnprintf(line + n, sizeof(line) - n - 1, format, ap);
        va_end(ap);

        n = strlen(line);
        if (error != 0)
                snprintf(line + n, sizeof(line) - n - 1, ": %s", strerror(error < 0 ? -error : error));

        for (unsigned char *p = (unsigned char *) line; *p; p++)
                if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
                        *p = '?';

        /* One write(2) for each line: lines of several processes do not mix. */
        n = strlen(line);
        line[n++] = '\n';
        (void) !write(STDERR_FILENO, line, n);
        return error > 0 ? -error : error;
}

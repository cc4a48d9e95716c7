/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/plain-text.h"

/* What a machine says on its console, as entries in the journal, in its native protocol
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL): journalctl -u finds them by OBJECT_SYSTEMD_UNIT=. A journal that
 * cannot take a line now misses it: nobody waits. So does one when a machine says too much, and is told how
 * much it was. */

#define CONSOLE_LINE_MAX 2048U

typedef struct ConsoleLog {
        PlainText text;
        char line[CONSOLE_LINE_MAX]; /* as far as it has come */
        size_t n;
        uint64_t window_usec; /* the time since which n_lines are counted */
        unsigned n_lines, n_missed;
} ConsoleLog;

/* Takes what was said on the console of that machine, as it came. */
void console_log_write(ConsoleLog *log, const char *machine, const char *unit, const char *data, size_t n);

/* Writes the line that has not ended. */
void console_log_flush(ConsoleLog *log, const char *machine, const char *unit);

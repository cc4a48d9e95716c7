/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/plain-text.h"

/* The output on the console of a machine, as entries in the journal, in its native protocol
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL). journalctl -u finds the entries by OBJECT_SYSTEMD_UNIT=. A line that
 * the journal cannot take at once is lost, and so are lines above the limit: a message then tells their
 * number. */

#define CONSOLE_LINE_MAX 2048U

typedef struct ConsoleLog {
        PlainText text;
        char line[CONSOLE_LINE_MAX]; /* the line that has not ended yet */
        size_t n;
        uint64_t window_usec; /* the begin of the interval in which n_lines are counted */
        unsigned n_lines, n_missed;
} ConsoleLog;

/* Takes output of the console of a machine. */
void console_log_write(ConsoleLog *log, const char *machine, const char *unit, const char *data, size_t n);

/* Writes a line that has not ended. */
void console_log_flush(ConsoleLog *log, const char *machine, const char *unit);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <syslog.h>

#include "macro.h"

/* Only programs log, once, at their edge; library code returns errors. Lines go to stderr; where that is the
 * journal ($JOURNAL_STREAM), with the priority in front, as sd-daemon(3) has it. */

/* Sets the least important priority that is still printed (LOG_INFO until then). */
void log_set_max_level(int level);

/* Prints one line, with a newline added; control characters, which may come from a name or a file, as "?". Returns the
 * negative of `error` where that is set, else 0. */
int log_line(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_debug(...)   log_line(LOG_DEBUG, 0, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, 0, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, 0, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, 0, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERR, 0, __VA_ARGS__)

/* The same with a negative errno: its text goes behind a colon, and it is returned. */
#define log_warning_errno(error, ...) log_line(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...)   log_line(LOG_ERR, error, __VA_ARGS__)

/* For a line that says by itself what the error is: only returns it. */
#define log_error_return(error, ...) (log_error(__VA_ARGS__), (error))
#define log_oom()                    log_error_errno(-ENOMEM, "Failed to allocate memory")

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <syslog.h>

#include "macro.h"

/* Programs log an error once, at their edge. Library code returns errors; where an error begins, the library
 * logs at debug level what failed, for which object, and why. Lines go to stderr. If stderr is the journal
 * ($JOURNAL_STREAM), each line begins with its priority, see sd-daemon(3). */

/* Reads the least important priority that is printed, from $MCTL_LOG_LEVEL or else from $SYSTEMD_LOG_LEVEL:
 * a name such as "debug", or a number of syslog(3). Each program calls this function first. */
void log_open(void);

/* Sets the least important priority that is printed. The default is LOG_INFO. */
void log_set_max_level(int level);

/* Prints a line, and appends a newline. Control characters can come from a name or a file, and are printed
 * as "?". If `error` is not 0, its text follows a colon. Returns `error` as a negative errno, or 0. */
int log_line(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_debug(...)   log_line(LOG_DEBUG, 0, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, 0, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, 0, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, 0, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERR, 0, __VA_ARGS__)

/* Macros for a negative errno, whose text follows a colon. They return the errno. */
#define log_debug_errno(error, ...)   log_line(LOG_DEBUG, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_line(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...)   log_line(LOG_ERR, error, __VA_ARGS__)

/* For a line that already explains the error: prints no text of the errno, and returns the errno. */
#define log_error_return(error, ...) (log_error(__VA_ARGS__), (error))
#define log_oom()                    log_error_errno(-ENOMEM, "Failed to allocate memory")

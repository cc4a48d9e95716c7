/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "macro.h"

/* A library returns an error as a negative errno. If the number does not say enough, the library adds a text
 * of one line for people. The caller sets `*ret_error` to NULL before the call, owns the text and frees it.
 * A text that is set already is replaced. */

/* Formats the text, and returns `r`. */
int set_failure(char **ret_error, int r, const char *format, ...) _printf_(3, 4);

/* Formats the text, appends a colon and the text of the negative errno `r`, and returns `r`. */
int set_failure_errno(char **ret_error, int r, const char *format, ...) _printf_(3, 4);

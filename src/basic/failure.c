/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "failure.h"

#include <stdarg.h>
#include <string.h>

#include "str.h"

static void set_text(char **ret_error, char *text)
{
        free(*ret_error);
        *ret_error = text;
}

int set_failure(char **ret_error, int r, const char *format, ...)
{
        char *text;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        set_text(ret_error, text);
        return r;
}

int set_failure_errno(char **ret_error, int r, const char *format, ...)
{
        _cleanup_free_ char *what = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&what, format, ap) < 0)
                what = NULL;
        va_end(ap);
        set_text(ret_error, what ? strf("%s: %s", what, strerror(-r)) : NULL);
        return r;
}

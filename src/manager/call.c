/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/call.h"

#include <stdarg.h>

#include "basic/log.h"
#include "manager/operation.h"
#include "systemd/unit-request.h"

#define SHOWN_MAX 80

void call_free(Call *call)
{
        if (call->operation)
                schema_free(call->operation->arguments, call->arguments);
        extra_properties_free(call->extra);
        free(call->target);
        free(call->caller.bus_name);
        call->door->free(call);
}

void call_answer(Call *call, const void *answer)
{
        _cleanup_(call_free_cleanup) Call *answered = call;

        answered->door->answered(answered, answer);
}

void call_fail_error(Call *call, const Error *error)
{
        _cleanup_(call_free_cleanup) Call *failed = call;
        _cleanup_free_ char *message = strdup(error->message ?: strerror(error->number));
        Error shown = *error;

        /* A name in the text may be cut within a UTF-8 character, which the bus would refuse. */
        if (message)
                str_repair(message);
        shown.message = message ?: strerror(ENOMEM);

        log_debug("Call %s%s%s of user %u failed: %s", failed->operation ? failed->operation->verb : "",
                  failed->target ? " of " : "", failed->target ?: "", failed->caller.uid, shown.message);
        failed->door->failed(failed, &shown);
}

void call_fail(Call *call, ErrorKind kind, const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        va_end(ap);
        call_fail_error(call, &(Error){ .kind = kind, .message = message ?: strerror(ENOMEM) });
}

void call_fail_errno(Call *call, int r, const char *format, ...)
{
        _cleanup_free_ char *what = NULL, *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&what, format, ap) < 0)
                what = NULL;
        va_end(ap);
        message = what ? strf("%s: %s", what, strerror(-r)) : NULL;
        call_fail_error(call, &(Error){ ERROR_ERRNO, -r, .message = message ?: strerror(ENOMEM) });
}

char *call_show(const char *text)
{
        char *shown = str_escape(text);

        if (shown && strlen(shown) > SHOWN_MAX) {
                size_t n = SHOWN_MAX;
                while (n > 0 && ((unsigned char) shown[n] & 0xc0) == 0x80)
                        n--; /* not in the middle of a UTF-8 character */
                shown[n] = 0;
        }
        return shown;
}

void call_watch(Call *call, void (*gone)(Call *call, void *userdata), void *userdata)
{
        call->gone = gone;
        call->gone_userdata = userdata;
        /* If the door cannot tell when the caller leaves, the work is done nevertheless. */
        if (call->door->watch && call->door->watch(call) < 0)
                log_debug("The door cannot tell when a caller with user ID %u leaves.", call->caller.uid);
}

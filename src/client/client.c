/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/client.h"

#include <stdarg.h>
#include <string.h>

#include "basic/failure.h"
#include "basic/names.h"
#include "basic/str.h"

/* If the registry is killed once, repeating a question helps. If the registry dies each time, the question
 * itself kills it, so the number of tries is limited. */
#define QUESTION_TRIES 10

const ClientObject client_registry = { REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE };
const ClientObject client_systemd = { SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER };

int client_send(sd_bus *bus, ClientKind kind, sd_bus_message *request, sd_bus_message **ret,
                char **ret_error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        unsigned tries = kind == CLIENT_QUESTION ? QUESTION_TRIES : 1;
        int r;

        do {
                sd_bus_error_free(&error);
                r = sd_bus_call(bus, request, USEC_INFINITY, &error, ret);
                if (r >= 0)
                        return 0;
        } while (--tries > 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_NO_REPLY));
        _cleanup_free_ char *text = error.message ? str_escape(error.message) : NULL;
        return set_failure(ret_error, r, "%s", text ?: strerror(-r));
}

int client_callv(sd_bus *bus, ClientKind kind, const ClientObject *object, const char *method,
                 sd_bus_message **ret, char **ret_error, const char *types, va_list ap)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r = sd_bus_message_new_method_call(bus, &request, object->name, object->path, object->interface,
                                               method);

        if (r >= 0)
                r = sd_bus_message_appendv(request, types, ap);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to make a call of %s()", method);
        return client_send(bus, kind, request, ret, ret_error);
}

int client_call(sd_bus *bus, ClientKind kind, const ClientObject *object, const char *method,
                sd_bus_message **ret, char **ret_error, const char *types, ...)
{
        va_list ap;

        va_start(ap, types);
        int r = client_callv(bus, kind, object, method, ret, ret_error, types, ap);
        va_end(ap);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/effective-spec.h"

#include "cli/bus.h"
#include "state/spec-load.h"

int config_effective_spec(Context *c, const char *name, Spec **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;
        _cleanup_strv_ Strv warnings = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_spec_ Spec *spec = NULL;
        const char *text;
        int r;

        r = bus_connect(c);
        if (r < 0)
                return r;
        r = sd_bus_call_method(c->bus, REGISTRY_NAME, REGISTRY_PATH, REGISTRY_INTERFACE, "GetMachineSpec",
                               &bus_error, &reply, "s", name);
        if (r >= 0) {
                spec = spec_new(name);
                r = spec ? sd_bus_message_read(reply, "s", &text) : -ENOMEM;
                if (r >= 0)
                        r = spec_from_json_text(spec, SPEC_SOURCE_COMMAND, text, &error);
        } else if (sd_bus_error_has_name(&bus_error, "org.mctl.Registry1.NoSuchMachine") && !c->host) {
                r = spec_merge(c->scope, name, NULL, &spec, &warnings, &error);
                if (r == 0)
                        return log_error_return(-ESRCH,
                                                "Machine '%s' does not run, and has no machine file.", name);
        } else
                error = strdup(bus_error.message ?: strerror(-r));
        if (r < 0)
                return log_error_return(r, "Failed to read the spec of machine '%s': %s", name,
                                        strna(error));
        *ret = TAKE_PTR(spec);
        return 0;
}

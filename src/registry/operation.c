/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/operation.h"
#include "registry/machine1.h"
#include "registry/polkit.h"

static const OperationFamily *family_of(sd_bus_message *call)
{
        return startswith(sd_bus_message_get_path(call), MACHINE1_PATH) ? &machine1_operations
                                                                        : &registry_operations;
}

static const Operation *find_row(sd_bus_message *call)
{
        const char *member = sd_bus_message_get_member(call);
        const Operation *o = family_of(call)->rows;

        while (o->run && !streq_ptr(o->manager, member) && !streq_ptr(o->machine, member))
                o++;
        assert(o->run); /* the vtables have no other methods for us */
        return o;
}

/* By the object that is called, else by the name that the call begins with. Returns 0 when an error has been replied. */
static int find_machine(Registry *registry, sd_bus_message *call, Machine **ret)
{
        const OperationFamily *family = family_of(call);
        _cleanup_free_ char *decoded = NULL;
        const char *name;
        int r;

        r = sd_bus_path_decode(sd_bus_message_get_path(call), family->objects, &decoded);
        if (r == 0)
                r = sd_bus_message_read(call, "s", &name);
        else
                name = decoded;
        if (r < 0)
                return r;
        *ret = streq(name, HOST_NAME) && find_row(call)->host_action ? &registry->host
                                                                     : family->find(registry, name, call);
        if (*ret)
                return 1;
        _cleanup_free_ char *shown = str_escape(name);
        return MIN(sd_bus_reply_method_errorf(call, family->error, "No machine '%.80s' is running.",
                                              strna(shown)),
                   0);
}

static int run_authorized(Registry *registry, sd_bus_message *call)
{
        Machine *m;
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r >= 0)
                r = find_machine(registry, call, &m);
        return r <= 0 ? r : find_row(call)->run(registry, m, call);
}

static int run_refreshed(Registry *registry, sd_bus_message *call)
{
        const Operation *o = find_row(call);
        _cleanup_strv_ Strv details = NULL;
        Machine *m;
        int r;

        r = find_machine(registry, call, &m);
        if (r <= 0)
                return r;
        if (!o->action || (o->owner && foreign_is_callers(m, call)))
                return o->run(registry, m, call);
        r = o->details ? o->details(call, &details) : 0;
        return r < 0 ? r
                     : polkit_authorize_with(registry, call, machine_is_host(m) ? o->host_action : o->action,
                                             m->name, o->verb, details, run_authorized);
}

int operation_of_manager(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return registry_refresh_then(userdata, call, run_refreshed);
}

int operation_of_machine(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const Machine *m = userdata;

        return operation_of_manager(call, m->registry, error);
}

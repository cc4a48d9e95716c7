/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The interface org.mctl.Registry1; see org.mctl.Registry1(5). */

#include "registry/polkit.h"
#include "registry/start.h"

static int append_string(sd_bus_message *m, const char *key, const char *value)
{
        return isempty(value) ? 0 : sd_bus_message_append(m, "{sv}", key, "s", value);
}

static int append_machine(sd_bus_message *m, const Machine *machine)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_string(m, "Name", machine->name);
        if (r >= 0)
                r = append_string(m, "Class", machine->class);
        if (r >= 0)
                r = append_string(m, "Unit", machine->unit);
        if (r >= 0)
                r = append_string(m, "State", machine_state_to_string(machine->state));
        if (r >= 0 && machine->record.handed_over)
                r = sd_bus_message_append(m, "{sv}", "Leader", "u", (uint32_t) machine->record.leader);
        if (r >= 0 && machine->record.since > 0)
                r = sd_bus_message_append(m, "{sv}", "Since", "t", machine->record.since);
        if (r >= 0)
                r = append_string(m, "Image", machine->image);
        if (r >= 0)
                r = append_string(m, "RootDirectory", machine->record.root);
        if (r >= 0)
                r = append_string(m, "OS", machine->os);
        if (r >= 0)
                r = append_string(m, "UUID", machine->record.uuid);
        if (r >= 0 && machine->record.base > 0)
                r = sd_bus_message_append(m, "{sv}", "UIDBase", "u", (uint32_t) machine->record.base);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int compare_names(const void *a, const void *b)
{
        const Machine *const *x = a, *const *y = b;
        return strcmp((*x)->name, (*y)->name);
}

static int list_refreshed(Registry *registry, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        if (registry->n_machines > 0)
                qsort(registry->machines, registry->n_machines, sizeof(Machine *), compare_names);
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < registry->n_machines && r >= 0; i++)
                r = append_machine(reply, registry->machines[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(registry->bus, reply, NULL);
}

static int method_list(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return registry_refresh_then(userdata, call, list_refreshed);
}

static int reply_no_machine(sd_bus_message *call, const char *name)
{
        _cleanup_free_ char *shown = str_escape(name);

        return sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_MACHINE, "No machine '%.80s' is running.",
                                          strna(shown));
}

/* Name of machine and verb of a start are in the spec, which the handler reads; polkit is told what it is. */
static int method_start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return polkit_authorize(userdata, call, REGISTRY_NAME ".start-machine", "", "start", start_machine);
}

static int method_run(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return polkit_authorize(userdata, call, REGISTRY_NAME ".start-machine", "", "run", start_machine);
}

static int method_plan(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return polkit_authorize(userdata, call, REGISTRY_NAME ".start-machine", "", "plan", plan_machine);
}

static int method_check_properties(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return check_assignments(userdata, call);
}

/* The methods that name a machine: looked up anew once authorized, since that may have taken a while. */
static int act(Registry *registry, sd_bus_message *call, MachineAction action)
{
        const char *name;
        Machine *machine;
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r >= 0)
                r = sd_bus_message_read(call, "s", &name);
        if (r < 0)
                return r;
        machine = registry_find(registry, name);
        return machine ? action(registry, machine, call) : reply_no_machine(call, name);
}

static int reply_path(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_free_ char *path = machine_path(machine->name);

        (void) registry;
        OOM_CHECK(path);
        return sd_bus_reply_method_return(call, "o", path);
}

static int get_refreshed(Registry *registry, sd_bus_message *call)
{
        return act(registry, call, reply_path);
}

static int method_get(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return registry_refresh_then(userdata, call, get_refreshed);
}

static int authorize_named(Registry *registry, sd_bus_message *call, const char *action, const char *verb,
                           AuthorizedHandler handler)
{
        const char *name;
        int r;

        registry_touch(registry);
        r = sd_bus_message_read(call, "s", &name);
        if (r < 0)
                return r;
        if (!machine_name_valid(name))
                return reply_no_machine(call, name);
        return polkit_authorize(registry, call, action, name, verb, handler);
}

#define DEFINE_MACHINE_METHOD_OF(name, verb, action)                                                   \
        static int name##_authorized(Registry *registry, sd_bus_message *call)                         \
        {                                                                                              \
                return act(registry, call, machine_##name);                                            \
        }                                                                                              \
        static int name##_refreshed(Registry *registry, sd_bus_message *call)                          \
        {                                                                                              \
                return authorize_named(registry, call, REGISTRY_NAME action, verb, name##_authorized); \
        }                                                                                              \
        static int method_##name(sd_bus_message *call, void *userdata, sd_bus_error *error)            \
        {                                                                                              \
                (void) error;                                                                          \
                return registry_refresh_then(userdata, call, name##_refreshed);                        \
        }                                                                                              \
        struct _semicolon_

#define DEFINE_MACHINE_METHOD(name, verb) DEFINE_MACHINE_METHOD_OF(name, verb, ".manage-machines")

DEFINE_MACHINE_METHOD(power_off, "power-off");
DEFINE_MACHINE_METHOD(reboot, "reboot");
DEFINE_MACHINE_METHOD(terminate, "terminate");
DEFINE_MACHINE_METHOD(kill, "kill");
DEFINE_MACHINE_METHOD_OF(set_properties, "set-properties",
                         ".start-machine"); /* devices are properties, too */
DEFINE_MACHINE_METHOD(get_spec, "get-spec");

const sd_bus_vtable registry_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ListMachines", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", machines),
                                method_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachine", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", machine),
                                method_get, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("StartMachine", SD_BUS_ARGS("s", spec),
                                SD_BUS_RESULT("o", machine, "s", unit, "o", job, "as", warnings),
                                method_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RunMachine", SD_BUS_ARGS("s", spec, "h", stdin, "h", stdout, "h", stderr),
                                SD_BUS_RESULT("o", machine, "s", unit, "o", job, "as", warnings), method_run,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PlanMachine", SD_BUS_ARGS("s", spec), SD_BUS_RESULT("s", plan), method_plan,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CheckProperties", SD_BUS_ARGS("as", assignments),
                                SD_BUS_RESULT("as", problems), method_check_properties,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PowerOffMachine", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", job),
                                method_power_off, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RebootMachine", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, method_reboot,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TerminateMachine", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", job),
                                method_terminate, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("KillMachine", SD_BUS_ARGS("s", name, "s", whom, "i", signal),
                                SD_BUS_NO_RESULT, method_kill, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetMachineProperties",
                                SD_BUS_ARGS("s", name, "b", runtime, "as", assignments), SD_BUS_NO_RESULT,
                                method_set_properties, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineSpec", SD_BUS_ARGS("s", name), SD_BUS_RESULT("s", spec),
                                method_get_spec, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("MachineNew", SD_BUS_ARGS("s", name, "o", machine), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineRemoved", SD_BUS_ARGS("s", name, "o", machine), 0),
        SD_BUS_VTABLE_END,
};

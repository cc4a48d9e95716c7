/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The interface org.mctl.Registry1.Machine: the properties of one machine, and what can be done to it. */

#include "registry/polkit.h"

static int machine_from_path(Registry *registry, const char *path, Machine **ret)
{
        _cleanup_free_ char *name = NULL;
        int r;

        r = sd_bus_path_decode(path, MACHINE_PATH, &name);
        if (r <= 0)
                return r;
        *ret = registry_find(registry, name);
        return *ret != NULL;
}

int machine_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                        sd_bus_error *error)
{
        Machine *machine;
        int r;

        (void) bus;
        (void) interface;
        (void) error;
        r = machine_from_path(userdata, path, &machine);
        if (r > 0)
                *ret = machine;
        return r;
}

int machine_node_enumerate(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        _cleanup_strv_ Strv nodes = NULL;
        Registry *registry = userdata;
        int r;

        (void) bus;
        (void) path;
        (void) error;
        for (size_t i = 0; i < registry->n_machines; i++) {
                r = strv_consume(&nodes, machine_path(registry->machines[i]->name));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(nodes);
        return 1;
}

#define DEFINE_GETTER(name, type, value)                                                                  \
        static int get_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)                 \
        {                                                                                                 \
                const Machine *m _unused_ = userdata;                                                     \
                (void) bus;                                                                               \
                (void) path;                                                                              \
                (void) interface;                                                                         \
                (void) property;                                                                          \
                (void) error;                                                                             \
                return sd_bus_message_append(reply, type, value);                                         \
        }                                                                                                 \
        struct _semicolon_

DEFINE_GETTER(name, "s", m->name);
DEFINE_GETTER(class, "s", m->class);
DEFINE_GETTER(unit, "s", m->unit);
DEFINE_GETTER(state, "s", machine_state_to_string(m->state));
DEFINE_GETTER(leader, "u", m->record.handed_over ? (uint32_t) m->record.leader : 0);
DEFINE_GETTER(since, "t", m->record.since);
DEFINE_GETTER(image, "s", m->image ?: "");
DEFINE_GETTER(root, "s", m->record.root ?: "");
DEFINE_GETTER(os, "s", m->os ?: "");
DEFINE_GETTER(uuid, "s", m->record.uuid);
DEFINE_GETTER(uid_base, "u", (uint32_t) m->record.base);

/* By the time that polkit has answered, the machine of this object may be another, or none. */
static int act(Registry *registry, sd_bus_message *call, MachineAction action)
{
        Machine *machine;
        int r;

        r = machine_from_path(registry, sd_bus_message_get_path(call), &machine);
        if (r < 0)
                return r;
        if (r == 0)
                return sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_MACHINE, "This machine is gone.");
        return action(registry, machine, call);
}

#define DEFINE_METHOD(id, verb)                                                                             \
        static int id##_authorized(Registry *registry, sd_bus_message *call)                                \
        {                                                                                                   \
                return act(registry, call, machine_##id);                                                   \
        }                                                                                                   \
        static int method_##id(sd_bus_message *call, void *userdata, sd_bus_error *error)                   \
        {                                                                                                   \
                Machine *m = userdata;                                                                      \
                (void) error;                                                                               \
                registry_touch(m->registry);                                                                \
                return polkit_authorize(m->registry, call, REGISTRY_NAME ".manage-machines", m->name, verb, \
                                        id##_authorized);                                                   \
        }                                                                                                   \
        struct _semicolon_

DEFINE_METHOD(power_off, "power-off");
DEFINE_METHOD(reboot, "reboot");
DEFINE_METHOD(terminate, "terminate");
DEFINE_METHOD(kill, "kill");

const sd_bus_vtable machine_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Class", "s", get_class, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Unit", "s", get_unit, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, 0),
        SD_BUS_PROPERTY("Leader", "u", get_leader, 0, 0),
        SD_BUS_PROPERTY("Since", "t", get_since, 0, 0),
        SD_BUS_PROPERTY("Image", "s", get_image, 0, 0),
        SD_BUS_PROPERTY("RootDirectory", "s", get_root, 0, 0),
        SD_BUS_PROPERTY("OS", "s", get_os, 0, 0),
        SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, 0),
        SD_BUS_PROPERTY("UIDBase", "u", get_uid_base, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("PowerOff", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", job), method_power_off,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reboot", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reboot,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Terminate", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", job), method_terminate,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("s", whom, "i", signal), SD_BUS_NO_RESULT, method_kill,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The interface org.mctl.Registry1.Machine: the properties of one machine, and what can be done to it. */

#include "registry/operation.h"

int machine_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                        sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, MACHINE_PATH, &name);
        if (r <= 0)
                return r;
        *ret = registry_find(userdata, name);
        return *ret != NULL;
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

DEFINE_MACHINE_GETTER(state, sd_bus_message_append(reply, "s", machine_state_to_string(m)));
DEFINE_MACHINE_GETTER(leader,
                      sd_bus_message_append(reply, "u",
                                            m->record.handed_over ? (uint32_t) m->record.leader : 0));
DEFINE_MACHINE_GETTER(image, sd_bus_message_append(reply, "s", machine_image(m)));
DEFINE_MACHINE_GETTER(uuid, sd_bus_message_append(reply, "s", m->record.uuid));

const sd_bus_vtable machine_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", NULL, offsetof(Machine, name), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Class", "s", NULL, offsetof(Machine, class), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Unit", "s", NULL, offsetof(Machine, unit), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, 0),
        SD_BUS_PROPERTY("Leader", "u", get_leader, 0, 0),
        SD_BUS_PROPERTY("Since", "t", NULL, offsetof(Machine, record.since), 0),
        SD_BUS_PROPERTY("Image", "s", get_image, 0, 0),
        SD_BUS_PROPERTY("RootDirectory", "s", NULL, offsetof(Machine, record.root), 0),
        SD_BUS_PROPERTY("OS", "s", NULL, offsetof(Machine, os), 0),
        SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, 0),
        SD_BUS_PROPERTY("UIDBase", "u", NULL, offsetof(Machine, record.base), 0),
        SD_BUS_METHOD_WITH_ARGS("PowerOff", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", job), operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reboot", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Terminate", SD_BUS_NO_ARGS, SD_BUS_RESULT("o", job), operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("s", whom, "i", signal), SD_BUS_NO_RESULT,
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyTo", SD_BUS_ARGS("s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyFrom", SD_BUS_ARGS("s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Archive", SD_BUS_ARGS("s", source, "h", file), SD_BUS_NO_RESULT,
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Extract", SD_BUS_ARGS("s", destination, "h", file, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Bind",
                                SD_BUS_ARGS("s", source, "s", destination, "b", read_only, "b", mkdir),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unbind", SD_BUS_ARGS("s", destination), SD_BUS_NO_RESULT,
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Exec",
                                SD_BUS_ARGS("s", id, "s", user, "s", directory, "as", environment, "as",
                                            command, "t", flags, "h", stdin, "h", stdout, "h", stderr),
                                SD_BUS_RESULT("o", job), operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Start",
                                SD_BUS_ARGS("s", id, "s", user, "s", directory, "as", environment, "as",
                                            command, "t", flags),
                                SD_BUS_RESULT("o", job), operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenConsole", SD_BUS_ARGS("t", flags),
                                SD_BUS_RESULT("h", fd, "b", writes, "t", backlog), operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

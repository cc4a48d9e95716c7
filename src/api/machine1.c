/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/machine1.h"

#include <arpa/inet.h>

#include "basic/log.h"
#include "manager/foreign.h"
#include "manager/image-change.h"
#include "manager/images.h"
#include "manager/machine-control.h"
#include "manager/machine-files.h"
#include "manager/machine-inspect.h"
#include "manager/session.h"
#include "systemd/unit-request.h"

/* --- what is registered -------------------------------------------------------------------------------- */

/* 0 stands for the caller. */
static int read_leader(sd_bus_message *m, int32_t *ret)
{
        uint32_t leader;
        int r = sd_bus_message_read(m, "u", &leader);

        if (r >= 0)
                *ret = (int32_t) MIN(leader, (uint32_t) INT32_MAX);
        return r;
}

/* A property of RegisterMachineEx(), and its key in the schema. */
static const struct {
        const char *property, *key;
} registered[] = {
        { "Service", "service" },
        { "Class", "class" },
        { "RootDirectory", "rootDirectory" },
        { "SSHAddress", "sshAddress" },
        { "SSHPrivateKeyPath", "sshPrivateKeyPath" },
        { "ControlAddress", "controlAddress" },
        { "Id", "id" },
        { "LeaderPIDFD", "leaderFileDescriptor" },
        { "NetworkInterfaces", "ifIndices" },
        { "VSockCID", "vSockCid" },
};

static int read_registered(BusCall *call, sd_bus_message *m, const char *key, RegisterArguments *a)
{
        if (streq(key, "LeaderPID"))
                return read_leader(m, &a->leader);
        if (streq(key, "LeaderPIDFDID")) /* identifies the same process as the PID */
                return sd_bus_message_skip(m, "t");
        for (size_t i = 0; i < ELEMENTSOF(registered); i++)
                if (streq(registered[i].property, key)) {
                        const Field *f = schema_find(call->call.operation->arguments, registered[i].key);
                        return bus_read_field(m, f, a);
                }
        return -EINVAL;
}

static int read_properties(BusCall *call, sd_bus_message *m, RegisterArguments *a)
{
        const char *key, *types;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &types);
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'v', types);
                if (r >= 0)
                        r = read_registered(call, m, key, a);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        /* Fails for a value of the wrong type. */
        return r == -ENXIO ? -EINVAL : r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_scope_properties(BusCall *call, sd_bus_message *m)
{
        return extra_properties_new(m, &call->call.extra);
}

static int read_registration(BusCall *call, sd_bus_message *m, void *arguments)
{
        static const char *const keys[] = { "name", "id", "service", "class" };
        const Schema *schema = call->call.operation->arguments;
        const char *member = sd_bus_message_get_member(m);
        RegisterArguments *a = arguments;
        int r = 0;

        for (size_t i = 0; i < (endswith(member, "Ex") ? 1 : ELEMENTSOF(keys)) && r >= 0; i++)
                r = bus_read_field(m, schema_find(schema, keys[i]), a);
        if (r >= 0 && endswith(member, "Ex"))
                r = read_properties(call, m, a);
        else if (r >= 0) {
                r = read_leader(m, &a->leader);
                if (r >= 0)
                        r = bus_read_field(m, schema_find(schema, "rootDirectory"), a);
                if (r >= 0 && endswith(member, "WithNetwork"))
                        r = bus_read_field(m, schema_find(schema, "ifIndices"), a);
        }
        return r >= 0 && startswith(member, "Create") ? read_scope_properties(call, m) : r;
}

/* --- answers ------------------------------------------------------------------------------------------- */

static int append_listed(sd_bus_message *m, const char *name, const char *class, const char *service)
{
        _cleanup_free_ char *path = bus_path(MACHINE1_MACHINES, name);

        OOM_CHECK(path);
        return sd_bus_message_append(m, "(ssso)", name, class, service, path);
}

static int append_machines(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const Manager *manager = call->call.manager;
        int r = sd_bus_message_open_container(reply, 'a', "(ssso)");

        (void) answer;
        if (r >= 0)
                r = append_listed(reply, HOST_NAME, "host", "");
        for (size_t i = 0; i < manager->n_machines && r >= 0; i++) {
                const Machine *m = manager->machines[i];
                if (machine_is_registered(m))
                        r = append_listed(reply, m->name, m->class, m->service);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_address(sd_bus_message *m, const Address *a)
{
        size_t size = a->family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
        int r = sd_bus_message_open_container(m, 'r', "iay");

        if (r >= 0)
                r = sd_bus_message_append(m, "i", a->family);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', a->bytes, size);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_addresses(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const AddressesAnswer *addresses = answer;
        int r = sd_bus_message_open_container(reply, 'a', "(iay)");

        (void) call;
        for (size_t i = 0; i < addresses->n_addresses && r >= 0; i++)
                r = append_address(reply, addresses->addresses + i);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* --- methods ------------------------------------------------------------------------------------------- */

#define CREATE_IN(more) "=s:name =ay:id =s:service =s:class =u:leader =s:root_directory " more
#define REGISTERING(member, operation, in)                                      \
        {                                                                       \
                member, NULL, &operation, in, "machine:path", read_registration \
        }
#define TERMINAL "fd:pty path:pty_path"
/* Methods of the manager and of an image's object that read facts in the image make the same call. */
#define ASK_IMAGE(member, keys)                                                        \
        {                                                                              \
                "GetImage" member, "Get" member, &operation_inspect_image, .out = keys \
        }

const BusMethod machine1_methods[] = {
        { "GetMachine", NULL, &operation_get_machine, .out = "machine" },
        { "GetMachineByPID", NULL, &operation_get_machine_of_process, "pid", "machine" },
        { "ListMachines", NULL, &operation_list_machines, .out = "=a(ssso):machines",
          .append = append_machines },
        REGISTERING("CreateMachine", operation_create, CREATE_IN("=a(sv):scope_properties")),
        REGISTERING("CreateMachineWithNetwork", operation_create,
                    CREATE_IN("=ai:ifindices =a(sv):scope_properties")),
        REGISTERING("CreateMachineEx", operation_create,
                    "=s:name =a(sv):properties =a(sv):scope_properties"),
        REGISTERING("RegisterMachine", operation_register, CREATE_IN("")),
        REGISTERING("RegisterMachineWithNetwork", operation_register, CREATE_IN("=ai:ifindices")),
        REGISTERING("RegisterMachineEx", operation_register, "=s:name =a(sv):properties"),
        { "UnregisterMachine", NULL, &operation_unregister },
        { "TerminateMachine", "Terminate", &operation_terminate },
        { "KillMachine", "Kill", &operation_kill, "whom signal" },
        { "GetMachineAddresses", "GetAddresses", &operation_get_addresses, .out = "=a(iay):addresses",
          .append = append_addresses },
        { "GetMachineSSHInfo", "GetSSHInfo", &operation_get_ssh,
          .out = "address:ssh_address key:ssh_private_key_path" },
        { "GetMachineOSRelease", "GetOSRelease", &operation_get_os_release, .out = "fields" },
        { "GetMachineUIDShift", "GetUIDShift", &operation_get_uid_shift, .out = "id:shift" },
        { "OpenMachinePTY", "OpenPTY", &operation_open_pty, .out = TERMINAL },
        { "OpenMachineLogin", "OpenLogin", &operation_open_login, .out = TERMINAL },
        { "OpenMachineShell", "OpenShell", &operation_open_shell, "user path args environment", TERMINAL },
        { "BindMountMachine", "BindMount", &operation_bind, "source destination readOnly mkdir" },
        { "CopyFromMachine", "CopyFrom", &operation_copy_from, "source destination" },
        { "CopyFromMachineWithFlags", "CopyFromWithFlags", &operation_copy_from,
          "source destination flags" },
        { "CopyToMachine", "CopyTo", &operation_copy_to, "source destination" },
        { "CopyToMachineWithFlags", "CopyToWithFlags", &operation_copy_to, "source destination flags" },
        { "OpenMachineRootDirectory", "OpenRootDirectory", &operation_open_root, .out = "fd" },
        { "MapFromMachineUser", NULL, &operation_map_user_to_host, "id:uid_inner", "id:uid_outer" },
        { "MapFromMachineGroup", NULL, &operation_map_group_to_host, "id:gid_inner", "id:gid_outer" },
        { "MapToMachineUser", NULL, &operation_map_user_of_host, "id:uid_outer",
          "name:machine_name machine:machine_path id:uid_inner" },
        { "MapToMachineGroup", NULL, &operation_map_group_of_host, "id:gid_outer",
          "name:machine_name machine:machine_path id:gid_inner" },
        { "ListImages", NULL, &operation_list_images, .out = "=a(ssbttto):images",
          .append = image1_append_list },
        { "GetImage", NULL, &operation_get_image, .out = "=o:image", .append = image1_append_path },
        ASK_IMAGE("Hostname", "hostname"),
        ASK_IMAGE("MachineID", "machineId:id"),
        ASK_IMAGE("OSRelease", "osRelease:fields"),
        ASK_IMAGE("MachineInfo", "machineInfo:fields"),
        { "CloneImage", "Clone", &operation_clone_image, "newName readOnly" },
        { "RenameImage", "Rename", &operation_rename_image, "newName" },
        { "RemoveImage", "Remove", &operation_remove_image },
        { "MarkImageReadOnly", "MarkReadOnly", &operation_mark_image, "readOnly" },
        { "SetImageLimit", "SetLimit", &operation_limit_image, "limit:size" },
        { "SetPoolLimit", NULL, &operation_limit_pool, "limit:size" },
        { "CleanPool", NULL, &operation_clean_images, "mode", "removed:images" },
        {},
};

DEFINE_BUS_GETTER(pool_path, BusDoor, sd_bus_message_append(reply, "s", object->manager->scope->store));
/* Quotas of the store do not exist: the store is a directory on the host's file system. */
DEFINE_BUS_GETTER(pool_size, BusDoor, ((void) object, sd_bus_message_append(reply, "t", UINT64_MAX)));

static const sd_bus_vtable others[] = {
        SD_BUS_PROPERTY("PoolPath", "s", get_pool_path, 0, 0),
        SD_BUS_PROPERTY("PoolUsage", "t", get_pool_size, 0, 0),
        SD_BUS_PROPERTY("PoolLimit", "t", get_pool_size, 0, 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineNew", SD_BUS_ARGS("s", machine, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineRemoved", SD_BUS_ARGS("s", machine, "o", path), 0),
        SD_BUS_VTABLE_END,
};

/* --- the object of a machine --------------------------------------------------------------------------- */

/* "self" is the machine of the caller. */
static int find_machine(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                        sd_bus_error *error)
{
        const BusDoor *door = userdata;
        _cleanup_free_ char *name = NULL;
        sd_bus_creds *creds = NULL;
        Machine *m;
        pid_t pid;
        int r;

        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, MACHINE1_MACHINES, &name);
        if (r <= 0)
                return r;
        m = manager_find_registered(door->manager, name);
        if (!m && streq(name, "self") &&
            sd_bus_query_sender_creds(sd_bus_get_current_message(bus), SD_BUS_CREDS_PID, &creds) >= 0 &&
            sd_bus_creds_get_pid(creds, &pid) >= 0)
                m = machine_of_process(door->manager, pid);
        sd_bus_creds_unref(creds);
        *ret = m;
        return m != NULL;
}

static int list_machines(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        const BusDoor *door = userdata;
        _cleanup_strv_ Strv nodes = NULL;
        int r = 0;

        (void) bus;
        (void) path;
        (void) error;
        for (size_t i = 0; i < door->manager->n_machines && r >= 0; i++)
                if (machine_is_registered(door->manager->machines[i]))
                        r = strv_consume(&nodes,
                                         bus_path(MACHINE1_MACHINES, door->manager->machines[i]->name));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(nodes);
        return 1;
}

/* The states of machines, in the words of systemd-machined. */
static const char *state_text(const Machine *m)
{
        return m->state == MACHINE_STARTING   ? "opening"
               : m->state == MACHINE_STOPPING ? "closing"
                                              : "running";
}

DEFINE_BUS_GETTER(id, Machine, bus_append_id(reply, object->record.uuid));
DEFINE_BUS_GETTER(interfaces, Machine,
                  sd_bus_message_append_array(reply, 'i', object->interfaces,
                                              object->n_interfaces * sizeof(int32_t)));
DEFINE_BUS_GETTER(state, Machine, sd_bus_message_append(reply, "s", state_text(object)));

#define CONST_PROPERTY(name, type, field) \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(Machine, field), SD_BUS_VTABLE_PROPERTY_CONST)

static const sd_bus_vtable properties[] = {
        CONST_PROPERTY("Name", "s", name),
        SD_BUS_PROPERTY("Id", "ay", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        CONST_PROPERTY("Timestamp", "t", record.since),
        CONST_PROPERTY("TimestampMonotonic", "t", since_monotonic),
        CONST_PROPERTY("Service", "s", service),
        CONST_PROPERTY("Unit", "s", unit),
        SD_BUS_PROPERTY("Scope", "s", NULL, offsetof(Machine, unit),
                        SD_BUS_VTABLE_PROPERTY_CONST | SD_BUS_VTABLE_HIDDEN),
        CONST_PROPERTY("Leader", "u", record.leader),
        CONST_PROPERTY("Class", "s", class),
        CONST_PROPERTY("RootDirectory", "s", record.root),
        SD_BUS_PROPERTY("NetworkInterfaces", "ai", get_interfaces, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, 0),
        CONST_PROPERTY("UID", "u", owner),
        CONST_PROPERTY("VSockCID", "u", vsock_cid),
        CONST_PROPERTY("SSHAddress", "s", ssh_address),
        CONST_PROPERTY("SSHPrivateKeyPath", "s", ssh_key),
        SD_BUS_VTABLE_END,
};

/* --- the door ------------------------------------------------------------------------------------------ */

int machine1_add(Machine1 *machine1, Manager *manager, sd_bus *bus)
{
        BusDoor *door = &machine1->door;
        int r;

        bus_door_init(door, manager, bus, FAMILY_SYSTEMD, MACHINE1_MACHINES);
        r = bus_door_add_manager(door, MACHINE1_PATH, MACHINE1_MANAGER, machine1_methods, others);
        if (r >= 0)
                r = bus_door_add_objects(door, MACHINE1_MACHINES, MACHINE1_MACHINE, TARGET_MACHINE,
                                         machine1_methods, properties, find_machine);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, MACHINE1_MACHINES, list_machines, door);
        return r < 0 ? r : image1_add(door, machine1_methods);
}

static void on_published(void *userdata, Machine *m, bool there)
{
        Machine1 *machine1 = userdata;
        _cleanup_free_ char *path = bus_path(MACHINE1_MACHINES, m->name);
        int r = path ? sd_bus_emit_signal(machine1->door.bus, MACHINE1_PATH, MACHINE1_MANAGER,
                                          there ? "MachineNew" : "MachineRemoved", "so", m->name, path)
                     : -ENOMEM;

        if (r < 0)
                log_warning_errno(r, "Failed to publish machine '%s'", m->name);
}

void machine1_tell(Machine1 *machine1)
{
        machine1->observer = (Observer){ .machine_published = on_published, .userdata = machine1 };
        manager_observe(machine1->door.manager, &machine1->observer);
}

void machine1_clear(Machine1 *machine1)
{
        bus_door_clear(&machine1->door);
}

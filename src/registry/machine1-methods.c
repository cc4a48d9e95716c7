/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The interfaces org.freedesktop.machine1.Manager and .Machine: see machine1.h, and operation.h. */

#include <arpa/inet.h>
#include <systemd/sd-login.h>

#include "basic/fd.h"
#include "basic/os-release.h"
#include "registry/inspect.h"
#include "registry/machine1.h"
#include "registry/operation.h"
#include "registry/polkit.h"
#include "registry/worker.h"

#define ERROR_NO_MACHINE            "org.freedesktop.machine1.NoSuchMachine"
#define ERROR_NO_MACHINE_FOR_PID    "org.freedesktop.machine1.NoMachineForPID"
#define ERROR_NO_PRIVATE_NETWORKING "org.freedesktop.machine1.NoPrivateNetworking"
#define ERROR_NO_USER_MAPPING       "org.freedesktop.machine1.NoSuchUserMapping"
#define ERROR_NO_GROUP_MAPPING      "org.freedesktop.machine1.NoSuchGroupMapping"

/* --- which machine ------------------------------------------------------------------------------------------------ */

static bool is_registered(const Machine *m)
{
        return m->state != MACHINE_FAILED && m->record.handed_over;
}

Machine *machine1_find(Registry *registry, const char *name)
{
        Machine *m = registry_find(registry, name);

        return m && is_registered(m) ? m : NULL;
}

Machine *machine1_find_process(Registry *registry, pid_t pid)
{
        _cleanup_free_ char *unit = NULL;

        for (size_t i = 0; i < registry->n_machines; i++)
                if (is_registered(registry->machines[i]) && registry->machines[i]->record.leader == pid)
                        return registry->machines[i];
        if (sd_pid_get_unit(pid, &unit) < 0)
                return NULL;
        for (size_t i = 0; i < registry->n_machines; i++) {
                Machine *m = registry->machines[i];
                if (is_registered(m) && m->owns_unit && streq(m->unit, unit))
                        return m;
        }
        return NULL;
}

Machine *machine1_find_user(Registry *registry, bool group, uint32_t outer, uint32_t *ret_inner)
{
        for (size_t i = 0; i < registry->n_machines && outer >= MACHINE1_HOST_IDS; i++) {
                Machine *m = registry->machines[i];
                if (!is_registered(m) || (!m->foreign && (m->record.base == 0 || m->record.base > outer)))
                        continue;
                _cleanup_close_ int proc_fd = machine_open(m);
                if (proc_fd >= 0 && !leader_shares(proc_fd, "user") &&
                    leader_id_from_host(proc_fd, group, outer, ret_inner) >= 0 && *ret_inner != outer)
                        return m;
        }
        return NULL;
}

/* "self" is the machine of who asks. */
static Machine *find(Registry *registry, const char *name, sd_bus_message *call)
{
        Machine *m = machine1_find(registry, name);
        pid_t pid;

        return !m && streq(name, "self") && caller_read(call, &pid, NULL) >= 0
                       ? machine1_find_process(registry, pid)
                       : m;
}

/* --- what can be asked of a machine, or done to it ---------------------------------------------------------------- */

static int reply_path(Registry *registry, Machine *m, sd_bus_message *call)
{
        _cleanup_free_ char *path = machine1_machine_path(m->name);

        (void) registry;
        OOM_CHECK(path);
        return sd_bus_reply_method_return(call, "o", path);
}

static int append_address(sd_bus_message *reply, const Address *a)
{
        size_t size = a->family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
        int r;

        r = sd_bus_message_open_container(reply, 'r', "iay");
        if (r >= 0)
                r = sd_bus_message_append(reply, "i", a->family);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', a->bytes, size);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_addresses(Registry *registry, Machine *m, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ Address *addresses = NULL;
        size_t n = 0;
        int r;

        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        r = inspect_addresses(proc_fd, &addresses, &n);
        if (r == -ENONET)
                return sd_bus_reply_method_errorf(call, ERROR_NO_PRIVATE_NETWORKING,
                                                  "Machine '%s' uses the network of the host.", m->name);
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(iay)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_address(reply, addresses + i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(registry->bus, reply, NULL);
}

static int get_os_release(Registry *registry, Machine *m, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_strv_ Strv pairs = NULL;
        int r;

        _cleanup_close_ int proc_fd = machine_open(m);
        _cleanup_close_ int root_fd = proc_fd < 0 ? proc_fd : leader_open_root(proc_fd);
        if (root_fd < 0)
                return root_fd;
        r = os_release_read_all(root_fd, &pairs);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = machine1_append_pairs(reply, pairs);
        return r < 0 ? r : sd_bus_send(registry->bus, reply, NULL);
}

static int get_uid_shift(Registry *registry, Machine *m, sd_bus_message *call)
{
        uint32_t size;
        uid_t base;
        int r;

        (void) registry;
        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        r = leader_users(proc_fd, &base, &size);
        if (r == -EOPNOTSUPP || (r >= 0 && size < MACHINE1_HOST_IDS - 2))
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NOT_SUPPORTED,
                                                  "Machine '%s' does not map its users as one range.",
                                                  m->name);
        return r < 0 ? r : sd_bus_reply_method_return(call, "u", (uint32_t) base);
}

static int open_root(Registry *registry, Machine *m, sd_bus_message *call)
{
        (void) registry;
        _cleanup_close_ int proc_fd = machine_open(m);
        _cleanup_close_ int root_fd = proc_fd < 0 ? proc_fd : leader_open_root(proc_fd);
        return root_fd < 0 ? root_fd : sd_bus_reply_method_return(call, "h", root_fd);
}

static int open_pty(Registry *registry, Machine *m, sd_bus_message *call)
{
        _cleanup_free_ char *path = NULL;

        (void) registry;
        _cleanup_close_ int proc_fd = machine_open_or_host(m);
        _cleanup_close_ int master_fd = proc_fd < 0 ? proc_fd : inspect_open_terminal(proc_fd, &path);
        return master_fd < 0 ? master_fd : sd_bus_reply_method_return(call, "hs", master_fd, path);
}

static int get_ssh(Registry *registry, Machine *m, sd_bus_message *call)
{
        (void) registry;
        if (m->ssh_address)
                return sd_bus_reply_method_return(call, "ss", m->ssh_address, m->ssh_key ?: "");
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NOT_SUPPORTED,
                                          "Machine '%s' has told no address for ssh.", m->name);
}

static int map_from(Registry *registry, Machine *m, sd_bus_message *call)
{
        bool group = endswith(sd_bus_message_get_member(call), "Group");
        uint32_t inner, outer;

        (void) registry;
        int r = sd_bus_message_read(call, "u", &inner);
        if (r < 0)
                return r;
        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        if (leader_id_to_host(proc_fd, group, inner, &outer) < 0)
                return sd_bus_reply_method_errorf(call,
                                                  group ? ERROR_NO_GROUP_MAPPING : ERROR_NO_USER_MAPPING,
                                                  "Machine '%s' has no mapping for %u.", m->name, inner);
        return sd_bus_reply_method_return(call, "u", outer);
}

#define ACTION(name) "org.freedesktop.machine1." name

/* What a rule may want to know of a shell. */
static int shell_details(sd_bus_message *call, Strv *ret)
{
        _cleanup_strv_ Strv args = NULL;
        _cleanup_free_ char *line = NULL;
        const char *user, *path;
        int r;

        r = sd_bus_message_read(call, "ss", &user, &path);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &args);
        if (r < 0)
                return r;
        line = args ? strv_join(args, " ") : strdup("");
        OOM_CHECK(line);
        return strv_extend(ret, (char *[]){ (char *) "user", (char *) (isempty(user) ? "root" : user),
                                            (char *) "program", (char *) path, (char *) "command_line", line,
                                            NULL });
}

#define MANAGE ACTION("manage-machines")

static const Operation operations[] = {
        { "GetMachine", NULL, .run = reply_path },
        { "GetMachineAddresses", "GetAddresses", .run = get_addresses },
        { "GetMachineSSHInfo", "GetSSHInfo", .run = get_ssh },
        { "GetMachineOSRelease", "GetOSRelease", .run = get_os_release },
        { "GetMachineUIDShift", "GetUIDShift", .run = get_uid_shift },
        { "MapFromMachineUser", NULL, .run = map_from },
        { "MapFromMachineGroup", NULL, .run = map_from },
        { "OpenMachineRootDirectory", "OpenRootDirectory", MANAGE, "open_root_directory", .run = open_root },
        { "OpenMachinePTY", "OpenPTY", ACTION("open-pty"), "open_pty", ACTION("host-open-pty"),
          .run = open_pty },
        { "OpenMachineLogin", "OpenLogin", ACTION("login"), "login", ACTION("host-login"),
          .run = machine1_open_login },
        { "OpenMachineShell", "OpenShell", ACTION("shell"), "shell", ACTION("host-shell"),
          .run = machine1_open_shell, .details = shell_details },
        { "BindMountMachine", "BindMount", MANAGE, "bind", .run = worker_bind, .details = worker_details },
        { "CopyFromMachine", "CopyFrom", MANAGE, "copy", .run = worker_copy, .details = worker_details },
        { "CopyFromMachineWithFlags", "CopyFromWithFlags", MANAGE, "copy", .run = worker_copy,
          .details = worker_details },
        { "CopyToMachine", "CopyTo", MANAGE, "copy", .run = worker_copy, .details = worker_details },
        { "CopyToMachineWithFlags", "CopyToWithFlags", MANAGE, "copy", .run = worker_copy,
          .details = worker_details },
        { "TerminateMachine", "Terminate", MANAGE, "terminate", .owner = true,
          .run = machine_terminate_quietly },
        { "KillMachine", "Kill", MANAGE, "kill", .owner = true, .run = machine_kill },
        { "UnregisterMachine", NULL, MANAGE, "unregister", .owner = true, .run = foreign_unregister },
        {},
};

const OperationFamily machine1_operations = { MACHINE1_MACHINES, ERROR_NO_MACHINE, operations, find };

/* --- the manager -------------------------------------------------------------------------------------------------- */

static int append_listed(sd_bus_message *reply, const char *name, const char *class, const char *service)
{
        _cleanup_free_ char *path = machine1_machine_path(name);

        OOM_CHECK(path);
        return sd_bus_message_append(reply, "(ssso)", name, class, service, path);
}

static int list_refreshed(Registry *registry, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssso)");
        if (r >= 0)
                r = append_listed(reply, ".host", "host", "");
        for (size_t i = 0; i < registry->n_machines && r >= 0; i++) {
                const Machine *m = registry->machines[i];
                if (is_registered(m))
                        r = append_listed(reply, m->name, m->class, m->service);
        }
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

static int process_refreshed(Registry *registry, sd_bus_message *call)
{
        uint32_t number;
        pid_t pid;
        Machine *m;
        int r;

        r = sd_bus_message_read(call, "u", &number);
        if (r < 0)
                return r;
        pid = number;
        if (number == 0)
                r = caller_read(call, &pid, NULL);
        m = r < 0 || number > INT32_MAX ? NULL : machine1_find_process(registry, pid);
        return m ? reply_path(registry, m, call)
                 : sd_bus_reply_method_errorf(call, ERROR_NO_MACHINE_FOR_PID, "Process %u is of no machine.",
                                              number);
}

static int method_get_by_pid(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return registry_refresh_then(userdata, call, process_refreshed);
}

static int map_to_refreshed(Registry *registry, sd_bus_message *call)
{
        bool group = endswith(sd_bus_message_get_member(call), "Group");
        _cleanup_free_ char *path = NULL;
        uint32_t outer, inner;
        Machine *m;
        int r;

        r = sd_bus_message_read(call, "u", &outer);
        if (r < 0)
                return r;
        if (outer < MACHINE1_HOST_IDS)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "%u is an id of the host.", outer);
        m = machine1_find_user(registry, group, outer, &inner);
        if (!m)
                return sd_bus_reply_method_errorf(call,
                                                  group ? ERROR_NO_GROUP_MAPPING : ERROR_NO_USER_MAPPING,
                                                  "No machine has %u.", outer);
        path = machine1_machine_path(m->name);
        OOM_CHECK(path);
        return sd_bus_reply_method_return(call, "sou", m->name, path, inner);
}

static int method_map_to(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return registry_refresh_then(userdata, call, map_to_refreshed);
}

static int method_register(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return polkit_authorize(userdata, call,
                                startswith(sd_bus_message_get_member(call), "Create")
                                        ? ACTION("create-machine")
                                        : ACTION("register-machine"),
                                "", "register", foreign_register);
}

const sd_bus_vtable machine1_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("GetMachine", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", machine),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineByPID", SD_BUS_ARGS("u", pid), SD_BUS_RESULT("o", machine),
                                method_get_by_pid, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListMachines", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssso)", machines),
                                method_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CreateMachine",
                                SD_BUS_ARGS("s", name, "ay", id, "s", service, "s", class, "u", leader, "s",
                                            root_directory, "a(sv)", scope_properties),
                                SD_BUS_RESULT("o", path), method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CreateMachineWithNetwork",
                                SD_BUS_ARGS("s", name, "ay", id, "s", service, "s", class, "u", leader, "s",
                                            root_directory, "ai", ifindices, "a(sv)", scope_properties),
                                SD_BUS_RESULT("o", path), method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "RegisterMachine",
                SD_BUS_ARGS("s", name, "ay", id, "s", service, "s", class, "u", leader, "s", root_directory),
                SD_BUS_RESULT("o", path), method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RegisterMachineWithNetwork",
                                SD_BUS_ARGS("s", name, "ay", id, "s", service, "s", class, "u", leader, "s",
                                            root_directory, "ai", ifindices),
                                SD_BUS_RESULT("o", path), method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CreateMachineEx",
                                SD_BUS_ARGS("s", name, "a(sv)", properties, "a(sv)", scope_properties),
                                SD_BUS_RESULT("o", path), method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RegisterMachineEx", SD_BUS_ARGS("s", name, "a(sv)", properties),
                                SD_BUS_RESULT("o", path), method_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UnregisterMachine", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TerminateMachine", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("KillMachine", SD_BUS_ARGS("s", name, "s", whom, "i", signal),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineAddresses", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("a(iay)", addresses), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineSSHInfo", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("s", ssh_address, "s", ssh_private_key_path),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineOSRelease", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("a{ss}", fields), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineUIDShift", SD_BUS_ARGS("s", name), SD_BUS_RESULT("u", shift),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenMachinePTY", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("h", pty, "s", pty_path), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenMachineLogin", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("h", pty, "s", pty_path), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenMachineShell",
                                SD_BUS_ARGS("s", name, "s", user, "s", path, "as", args, "as", environment),
                                SD_BUS_RESULT("h", pty, "s", pty_path), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "BindMountMachine",
                SD_BUS_ARGS("s", name, "s", source, "s", destination, "b", read_only, "b", mkdir),
                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyFromMachine", SD_BUS_ARGS("s", name, "s", source, "s", destination),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyFromMachineWithFlags",
                                SD_BUS_ARGS("s", name, "s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyToMachine", SD_BUS_ARGS("s", name, "s", source, "s", destination),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyToMachineWithFlags",
                                SD_BUS_ARGS("s", name, "s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenMachineRootDirectory", SD_BUS_ARGS("s", name), SD_BUS_RESULT("h", fd),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MapFromMachineUser", SD_BUS_ARGS("s", name, "u", uid_inner),
                                SD_BUS_RESULT("u", uid_outer), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MapFromMachineGroup", SD_BUS_ARGS("s", name, "u", gid_inner),
                                SD_BUS_RESULT("u", gid_outer), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MapToMachineUser", SD_BUS_ARGS("u", uid_outer),
                                SD_BUS_RESULT("s", machine_name, "o", machine_path, "u", uid_inner),
                                method_map_to, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MapToMachineGroup", SD_BUS_ARGS("u", gid_outer),
                                SD_BUS_RESULT("s", machine_name, "o", machine_path, "u", gid_inner),
                                method_map_to, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListImages", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssbttto)", images),
                                machine1_list_images, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImage", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", image),
                                machine1_get_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImageHostname", SD_BUS_ARGS("s", name), SD_BUS_RESULT("s", hostname),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImageMachineID", SD_BUS_ARGS("s", name), SD_BUS_RESULT("ay", id),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImageOSRelease", SD_BUS_ARGS("s", name), SD_BUS_RESULT("a{ss}", fields),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImageMachineInfo", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("a{ss}", fields), machine1_ask_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CloneImage", SD_BUS_ARGS("s", name, "s", new_name, "b", read_only),
                                SD_BUS_NO_RESULT, machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RenameImage", SD_BUS_ARGS("s", name, "s", new_name), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveImage", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MarkImageReadOnly", SD_BUS_ARGS("s", name, "b", read_only),
                                SD_BUS_NO_RESULT, machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetImageLimit", SD_BUS_ARGS("s", name, "t", size), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetPoolLimit", SD_BUS_ARGS("t", size), SD_BUS_NO_RESULT,
                                machine1_limit_pool, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CleanPool", SD_BUS_ARGS("s", mode), SD_BUS_RESULT("a(st)", images),
                                machine1_clean_pool, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("PoolPath", "s", machine1_get_pool, 0, 0),
        SD_BUS_PROPERTY("PoolUsage", "t", machine1_get_pool, 0, 0),
        SD_BUS_PROPERTY("PoolLimit", "t", machine1_get_pool, 0, 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineNew", SD_BUS_ARGS("s", machine, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineRemoved", SD_BUS_ARGS("s", machine, "o", path), 0),
        SD_BUS_VTABLE_END,
};

/* --- one machine -------------------------------------------------------------------------------------------------- */

int machine1_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                         sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        Registry *registry = userdata;
        Machine *m;
        int r;

        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, MACHINE1_MACHINES, &name);
        if (r <= 0)
                return r;
        m = find(registry, name, sd_bus_get_current_message(bus));
        if (!m)
                return 0;
        /* Methods are the registry's, which looks the machine up again. */
        *ret = m;
        return 1;
}

int machine1_node_enumerate(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        _cleanup_strv_ Strv nodes = NULL;
        Registry *registry = userdata;
        int r = 0;

        (void) bus;
        (void) path;
        (void) error;
        for (size_t i = 0; i < registry->n_machines && r >= 0; i++)
                if (is_registered(registry->machines[i]))
                        r = strv_consume(&nodes, machine1_machine_path(registry->machines[i]->name));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(nodes);
        return 1;
}

/* machined's words for what a machine does. */
static const char *state_text(const Machine *m)
{
        return m->state == MACHINE_STARTING   ? "opening"
               : m->state == MACHINE_STOPPING ? "closing"
                                              : "running";
}

DEFINE_MACHINE_GETTER(m1_id, machine1_append_id(reply, m->record.uuid));
DEFINE_MACHINE_GETTER(m1_interfaces, sd_bus_message_append_array(reply, 'i', m->interfaces,
                                                                 m->n_interfaces * sizeof(int32_t)));
DEFINE_MACHINE_GETTER(m1_state, sd_bus_message_append(reply, "s", state_text(m)));

#define CONST_PROPERTY(name, type, field) \
        SD_BUS_PROPERTY(name, type, NULL, offsetof(Machine, field), SD_BUS_VTABLE_PROPERTY_CONST)

const sd_bus_vtable machine1_machine_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CONST_PROPERTY("Name", "s", name),
        SD_BUS_PROPERTY("Id", "ay", get_m1_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        CONST_PROPERTY("Timestamp", "t", record.since),
        CONST_PROPERTY("TimestampMonotonic", "t", since_monotonic),
        CONST_PROPERTY("Service", "s", service),
        CONST_PROPERTY("Unit", "s", unit),
        SD_BUS_PROPERTY("Scope", "s", NULL, offsetof(Machine, unit),
                        SD_BUS_VTABLE_PROPERTY_CONST | SD_BUS_VTABLE_HIDDEN),
        CONST_PROPERTY("Leader", "u", record.leader),
        CONST_PROPERTY("Class", "s", class),
        CONST_PROPERTY("RootDirectory", "s", record.root),
        SD_BUS_PROPERTY("NetworkInterfaces", "ai", get_m1_interfaces, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_m1_state, 0, 0),
        CONST_PROPERTY("UID", "u", owner),
        CONST_PROPERTY("VSockCID", "u", vsock_cid),
        CONST_PROPERTY("SSHAddress", "s", ssh_address),
        CONST_PROPERTY("SSHPrivateKeyPath", "s", ssh_key),
        SD_BUS_METHOD_WITH_ARGS("Terminate", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, operation_of_machine,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("s", whom, "i", signal), SD_BUS_NO_RESULT,
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetAddresses", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(iay)", addresses),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSSHInfo", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("s", ssh_address, "s", ssh_private_key_path),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetOSRelease", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{ss}", fields),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetUIDShift", SD_BUS_NO_ARGS, SD_BUS_RESULT("u", shift),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenPTY", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", pty, "s", pty_path),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenLogin", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", pty, "s", pty_path),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "OpenShell", SD_BUS_ARGS("s", user, "s", path, "as", args, "as", environment),
                SD_BUS_RESULT("h", pty, "s", pty_path), operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("BindMount",
                                SD_BUS_ARGS("s", source, "s", destination, "b", read_only, "b", mkdir),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyFrom", SD_BUS_ARGS("s", source, "s", destination), SD_BUS_NO_RESULT,
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyFromWithFlags", SD_BUS_ARGS("s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyTo", SD_BUS_ARGS("s", source, "s", destination), SD_BUS_NO_RESULT,
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyToWithFlags", SD_BUS_ARGS("s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenRootDirectory", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", fd),
                                operation_of_machine, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

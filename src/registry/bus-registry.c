/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The interface org.mctl.Registry1; see org.mctl.Registry1(5). */

#include "registry/console.h"
#include "registry/exec.h"
#include "registry/machine1.h"
#include "registry/operation.h"
#include "registry/polkit.h"
#include "registry/start.h"
#include "registry/transfer.h"
#include "registry/worker.h"

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
                r = append_string(m, "State", machine_state_to_string(machine));
        if (r >= 0 && machine->record.handed_over)
                r = sd_bus_message_append(m, "{sv}", "Leader", "u", (uint32_t) machine->record.leader);
        if (r >= 0 && machine->record.since > 0)
                r = sd_bus_message_append(m, "{sv}", "Since", "t", machine->record.since);
        if (r >= 0)
                r = append_string(m, "Image", machine_image(machine));
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

static int reply_path(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_free_ char *path = machine_path(machine->name);

        (void) registry;
        OOM_CHECK(path);
        return sd_bus_reply_method_return(call, "o", path);
}

static Machine *find(Registry *registry, const char *name, sd_bus_message *call)
{
        (void) call;
        return registry_find(registry, name);
}

#define MANAGE REGISTRY_NAME ".manage-machines"

static const Operation operations[] = {
        { "GetMachine", NULL, .run = reply_path },
        { "PowerOffMachine", "PowerOff", MANAGE, "power-off", .run = machine_power_off },
        { "RebootMachine", "Reboot", MANAGE, "reboot", .run = machine_reboot },
        { "TerminateMachine", "Terminate", MANAGE, "terminate", .run = machine_terminate },
        { "PauseMachine", "Pause", MANAGE, "pause", .run = machine_pause },
        { "ResumeMachine", "Resume", MANAGE, "resume", .run = machine_resume },
        { "KillMachine", "Kill", MANAGE, "kill", .run = machine_kill },
        /* Devices are properties, too. */
        { "SetMachineProperties", NULL, REGISTRY_NAME ".start-machine", "set-properties",
          .run = machine_set_properties },
        /* Files of the host go where its users read them, and those of a machine where root does. */
        { "CopyToMachine", "CopyTo", REGISTRY_NAME ".start-machine", "copy-to", .run = worker_copy,
          .details = worker_details },
        { "CopyFromMachine", "CopyFrom", REGISTRY_NAME ".start-machine", "copy-from", .run = worker_copy,
          .details = worker_details },
        { "ArchiveFromMachine", "Archive", REGISTRY_NAME ".start-machine", "copy-from",
          .run = worker_archive, .details = worker_details },
        { "ExtractToMachine", "Extract", REGISTRY_NAME ".start-machine", "copy-to", .run = worker_archive,
          .details = worker_details },
        { "BindMachine", "Bind", REGISTRY_NAME ".start-machine", "bind", .run = worker_bind,
          .details = worker_details },
        { "UnbindMachine", "Unbind", REGISTRY_NAME ".start-machine", "unbind", .run = worker_unbind,
          .details = worker_details },
        { "ExecInMachine", "Exec", REGISTRY_NAME ".exec", "exec", .run = exec_in_machine,
          .details = exec_details },
        { "StartInMachine", "Start", REGISTRY_NAME ".exec", "exec", .run = exec_in_machine,
          .details = exec_details },
        { "OpenConsole", "OpenConsole", REGISTRY_NAME ".console", "console", .run = console_open },
        { "KillInMachine", NULL, REGISTRY_NAME ".exec", "kill", .run = exec_kill },
        { "GetMachineSpec", NULL, MANAGE, "get-spec", .run = machine_get_spec },
        {},
};

const OperationFamily registry_operations = { MACHINE_PATH, ERROR_NO_SUCH_MACHINE, operations, find };

const sd_bus_vtable registry_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ListMachines", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", machines),
                                method_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachine", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", machine),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
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
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RebootMachine", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TerminateMachine", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", job),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PauseMachine", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ResumeMachine", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("KillMachine", SD_BUS_ARGS("s", name, "s", whom, "i", signal),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetMachineProperties",
                                SD_BUS_ARGS("s", name, "b", runtime, "as", assignments), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineSpec", SD_BUS_ARGS("s", name), SD_BUS_RESULT("s", spec),
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyToMachine",
                                SD_BUS_ARGS("s", name, "s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyFromMachine",
                                SD_BUS_ARGS("s", name, "s", source, "s", destination, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ArchiveFromMachine", SD_BUS_ARGS("s", name, "s", source, "h", file),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ExtractToMachine",
                                SD_BUS_ARGS("s", name, "s", destination, "h", file, "t", flags),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "BindMachine",
                SD_BUS_ARGS("s", name, "s", source, "s", destination, "b", read_only, "b", mkdir),
                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UnbindMachine", SD_BUS_ARGS("s", name, "s", destination), SD_BUS_NO_RESULT,
                                operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ExecInMachine",
                                SD_BUS_ARGS("s", name, "s", id, "s", user, "s", directory, "as", environment,
                                            "as", command, "t", flags, "h", stdin, "h", stdout, "h", stderr),
                                SD_BUS_RESULT("o", job), operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("StartInMachine",
                                SD_BUS_ARGS("s", name, "s", id, "s", user, "s", directory, "as", environment,
                                            "as", command, "t", flags),
                                SD_BUS_RESULT("o", job), operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("KillInMachine", SD_BUS_ARGS("s", name, "s", id, "i", signal),
                                SD_BUS_NO_RESULT, operation_of_manager, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenConsole", SD_BUS_ARGS("s", name, "t", flags),
                                SD_BUS_RESULT("h", fd, "b", writes, "t", backlog), operation_of_manager,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListImages", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", images),
                                registry_list_images, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MeasureImages", SD_BUS_ARGS("as", names), SD_BUS_RESULT("a(stttas)", sizes),
                                registry_measure_images, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("VerifyImage", SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("s", digest, "s", root_hash, "b", is_signed),
                                registry_verify_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MountImage", SD_BUS_ARGS("s", name, "s", path, "b", read_only),
                                SD_BUS_NO_RESULT, registry_mount_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UnmountImage", SD_BUS_ARGS("s", where), SD_BUS_NO_RESULT,
                                registry_mount_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PruneImages", SD_BUS_ARGS("s", mode, "b", dry_run),
                                SD_BUS_RESULT("a(st)", removed), machine1_clean_pool,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CloneImage", SD_BUS_ARGS("s", name, "s", new_name, "b", read_only),
                                SD_BUS_NO_RESULT, machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CloneImageWithFlags", SD_BUS_ARGS("s", name, "s", new_name, "t", flags),
                                SD_BUS_NO_RESULT, machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SnapshotImage", SD_BUS_ARGS("s", name, "s", snapshot),
                                SD_BUS_RESULT("s", snapshot), machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RollBackImage", SD_BUS_ARGS("s", name, "s", snapshot),
                                SD_BUS_RESULT("s", snapshot), machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReplaceImage", SD_BUS_ARGS("s", name, "s", image, "s", keep),
                                SD_BUS_RESULT("s", snapshot), machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RevertImage", SD_BUS_ARGS("s", name, "s", snapshot, "s", keep),
                                SD_BUS_RESULT("s", snapshot), machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RenameSnapshot", SD_BUS_ARGS("s", name, "s", snapshot, "s", new_name),
                                SD_BUS_NO_RESULT, machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveSnapshot", SD_BUS_ARGS("s", name, "s", snapshot), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("DiffImage", SD_BUS_ARGS("s", name, "s", snapshot),
                                SD_BUS_RESULT("a(ss)", changes), machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListSnapshots", SD_BUS_ARGS("s", name), SD_BUS_RESULT("a(st)", snapshots),
                                registry_list_snapshots, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RenameImage", SD_BUS_ARGS("s", name, "s", new_name), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveImage", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MarkImageReadOnly", SD_BUS_ARGS("s", name, "b", read_only),
                                SD_BUS_NO_RESULT, machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetImageLimit", SD_BUS_ARGS("s", name, "t", limit), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("EnableQuotas", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportImage", SD_BUS_ARGS("s", name, "s", type, "h", file, "t", flags),
                                SD_BUS_RESULT("u", id), transfer_begin, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ExportImage", SD_BUS_ARGS("s", name, "s", format, "h", file, "x", clamp),
                                SD_BUS_RESULT("u", id), transfer_begin, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "PullImage",
                SD_BUS_ARGS("s", url, "s", name, "s", type, "s", verify, "t", flags, "as", environment),
                SD_BUS_RESULT("u", id), transfer_begin, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CopyImage", SD_BUS_ARGS("s", name, "s", new_name, "t", flags),
                                SD_BUS_RESULT("u", id), transfer_begin, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListTransfers", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ussd)", transfers),
                                transfer_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CancelTransfer", SD_BUS_ARGS("u", id), SD_BUS_NO_RESULT, transfer_cancel,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("TransferNew", SD_BUS_ARGS("u", id), 0),
        SD_BUS_SIGNAL_WITH_ARGS("TransferProgress", SD_BUS_ARGS("u", id, "d", share, "t", bytes), 0),
        SD_BUS_SIGNAL_WITH_ARGS("TransferRemoved", SD_BUS_ARGS("u", id, "s", result, "s", message), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineNew", SD_BUS_ARGS("s", name, "o", machine), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineRemoved", SD_BUS_ARGS("s", name, "o", machine), 0),
        SD_BUS_VTABLE_END,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/registry1.h"

#include "basic/log.h"
#include "manager/console.h"
#include "manager/exec.h"
#include "manager/image-change.h"
#include "manager/images.h"
#include "manager/machine-control.h"
#include "manager/machine-files.h"
#include "manager/machine-inspect.h"
#include "manager/start.h"
#include "manager/transfer.h"
#include "manager/update.h"

/* --- lists --------------------------------------------------------------------------------------------- */

static uint32_t leader_of(const Machine *m)
{
        return m->record.handed_over ? (uint32_t) m->record.leader : 0;
}

static int append_machine(sd_bus_message *m, const Machine *machine)
{
        const struct {
                const char *key, *value;
        } texts[] = {
                { "Name", machine->name },
                { "Class", machine->class },
                { "Unit", machine->unit },
                { "State", machine_state_to_string(machine) },
                { "Image", machine_image(machine) },
                { "RootDirectory", machine->record.root },
                { "OS", machine->os },
                { "UUID", machine->record.uuid },
        };
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (size_t i = 0; i < ELEMENTSOF(texts) && r >= 0; i++)
                r = bus_append_text(m, texts[i].key, texts[i].value);
        if (r >= 0 && leader_of(machine) > 0)
                r = sd_bus_message_append(m, "{sv}", "Leader", "u", leader_of(machine));
        if (r >= 0 && machine->record.since > 0)
                r = sd_bus_message_append(m, "{sv}", "Since", "t", machine->record.since);
        if (r >= 0 && machine->record.base > 0)
                r = sd_bus_message_append(m, "{sv}", "UIDBase", "u", (uint32_t) machine->record.base);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int compare_names(const void *a, const void *b)
{
        const Machine *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

static int append_machines(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        Manager *manager = call->call.manager;
        int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

        (void) answer;
        if (manager->n_machines > 0)
                qsort(manager->machines, manager->n_machines, sizeof(Machine *), compare_names);
        for (size_t i = 0; i < manager->n_machines && r >= 0; i++)
                r = append_machine(reply, manager->machines[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_users(sd_bus_message *m, const Manager *manager, const char *image)
{
        _cleanup_strv_ Strv users = NULL;
        const Machine *user;
        size_t from = 0;
        int r = 0;

        while (r >= 0 && (user = images_next_user(manager, image, &from)))
                r = strv_append(&users, user->name);
        if (r < 0 || !users)
                return r;
        r = sd_bus_message_append(m, "{sv}", "Machine", "s", users[0]);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Machines");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, users);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_image(sd_bus_message *m, const Manager *manager, const ImageEntry *image)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "Name", "s", image->name, "Type", "s",
                                          image->type, "Path", "s", image->path, "ReadOnly", "b",
                                          (int) image->read_only, "Modified", "t", image->modified);
        if (r >= 0 && image->created > 0)
                r = sd_bus_message_append(m, "{sv}", "Created", "t", image->created);
        if (r >= 0 && image->size != UINT64_MAX)
                r = sd_bus_message_append(m, "{sv}", "Size", "t", image->size);
        if (r >= 0)
                r = bus_append_text(m, "OS", image->os);
        if (r >= 0 && image->versioned)
                r = sd_bus_message_append(m, "{sv}", "Snapshots", "t", image->n_snapshots);
        if (r >= 0 && image->n_layers > 0)
                r = sd_bus_message_append(m, "{sv}", "Layers", "t", image->n_layers);
        if (r >= 0)
                r = bus_append_text(m, "Base", image->base);
        if (r >= 0)
                r = append_users(m, manager, image->name);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The tree of the host is not in the store. */
static int append_images(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const ListAnswer *list = answer;
        int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

        for (size_t i = 0; i < list->n_images && r >= 0; i++)
                if (!streq(list->images[i].name, HOST_NAME))
                        r = append_image(reply, call->call.manager, list->images + i);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_transfers(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        int r = sd_bus_message_open_container(reply, 'a', "(ussd)");

        (void) answer;
        for (const Transfer *t = call->call.manager->transfers; t && r >= 0; t = t->next)
                r = sd_bus_message_append(reply, "(ussd)", t->id, transfer_type(t), t->local, t->progress);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* --- methods ------------------------------------------------------------------------------------------- */

#define EXEC_IN "id user directory environment command flags"
#define STREAMS "stdin stdout stderr"

const BusMethod registry1_methods[] = {
        { "ListMachines", NULL, &operation_list_machines, .out = "=aa{sv}:machines",
          .append = append_machines },
        { "GetMachine", NULL, &operation_get_machine, .out = "machine" },
        { "StartMachine", NULL, &operation_start, "spec", "machine unit job warnings" },
        { "RunMachine", NULL, &operation_run, "spec " STREAMS, "machine unit job warnings" },
        { "PlanMachine", NULL, &operation_plan, "spec", "plan" },
        { "CheckProperties", NULL, &operation_check_properties, "assignments", "problems" },
        { "PowerOffMachine", "PowerOff", &operation_power_off, .out = "job" },
        { "RebootMachine", "Reboot", &operation_reboot },
        { "TerminateMachine", "Terminate", &operation_terminate, .out = "job" },
        { "PauseMachine", "Pause", &operation_pause },
        { "ResumeMachine", "Resume", &operation_resume },
        { "KillMachine", "Kill", &operation_kill, "whom signal" },
        { "SetMachineProperties", NULL, &operation_set_properties, "runtime assignments" },
        { "GetMachineSpec", NULL, &operation_get_spec, .out = "spec" },
        { "CopyToMachine", "CopyTo", &operation_copy_to, "source destination flags" },
        { "CopyFromMachine", "CopyFrom", &operation_copy_from, "source destination flags" },
        { "ArchiveFromMachine", "Archive", &operation_archive, "source file" },
        { "ExtractToMachine", "Extract", &operation_extract, "destination file flags" },
        { "BindMachine", "Bind", &operation_bind, "source destination readOnly mkdir" },
        { "UnbindMachine", "Unbind", &operation_unbind, "destination" },
        { "ExecInMachine", "Exec", &operation_exec, EXEC_IN " " STREAMS, "job" },
        { "StartInMachine", "Start", &operation_exec_detached, EXEC_IN, "job" },
        { "KillInMachine", NULL, &operation_exec_kill, "id signal" },
        { "OpenConsole", "OpenConsole", &operation_open_console, "flags", "fd writes backlog" },
        { "ListImages", NULL, &operation_list_images_detailed, .out = "=aa{sv}:images",
          .append = append_images },
        { "MeasureImages", NULL, &operation_measure_images, "names", "images:sizes" },
        { "VerifyImage", NULL, &operation_verify_image, .out = "digest rootHash signed:is_signed" },
        { "MountImage", NULL, &operation_mount_image, "path readOnly" },
        { "UnmountImage", NULL, &operation_unmount_image, "where" },
        { "PruneImages", NULL, &operation_clean_images, "mode dryRun", "removed" },
        { "CloneImage", NULL, &operation_clone_image, "newName readOnly" },
        { "CloneImageWithFlags", NULL, &operation_clone_image, "newName flags" },
        { "SnapshotImage", NULL, &operation_snapshot_image, "snapshot", "snapshot" },
        { "RollBackImage", NULL, &operation_roll_back_image, "snapshot", "snapshot" },
        { "UpdateMachine", NULL, &operation_update_machine, "image health timeoutUSec:timeout_usec",
          "image snapshot running" },
        { "UndoUpdate", NULL, &operation_undo_update },
        { "ReplaceImage", NULL, &operation_replace_image, "image keep", "snapshot" },
        { "RevertImage", NULL, &operation_revert_image, "snapshot keep", "snapshot" },
        { "RenameSnapshot", NULL, &operation_rename_snapshot, "snapshot newName" },
        { "RemoveSnapshot", NULL, &operation_remove_snapshot, "snapshot" },
        { "DiffImage", NULL, &operation_diff_image, "snapshot", "changes" },
        { "ListSnapshots", NULL, &operation_list_snapshots, .out = "snapshots" },
        { "RenameImage", NULL, &operation_rename_image, "newName" },
        { "RemoveImage", NULL, &operation_remove_image, .out = "left" },
        { "MarkImageReadOnly", NULL, &operation_mark_image, "readOnly" },
        { "SetImageLimit", NULL, &operation_limit_image, "limit" },
        { "EnableQuotas", NULL, &operation_enable_quotas },
        { "ImportImage", NULL, &operation_import, "name type file flags", "id" },
        { "ExportImage", NULL, &operation_export, "name format file clamp", "id" },
        { "PullImage", NULL, &operation_pull, "url name type verify flags environment", "id" },
        { "CopyImage", NULL, &operation_copy_image, "source:name name:new_name flags", "id" },
        { "ListTransfers", NULL, &operation_list_transfers, .out = "=a(ussd):transfers",
          .append = append_transfers },
        { "CancelTransfer", NULL, &operation_cancel_transfer, "id" },
        {},
};

static const sd_bus_vtable signals[] = {
        SD_BUS_SIGNAL_WITH_ARGS("TransferNew", SD_BUS_ARGS("u", id), 0),
        SD_BUS_SIGNAL_WITH_ARGS("TransferProgress", SD_BUS_ARGS("u", id, "d", share, "t", bytes), 0),
        SD_BUS_SIGNAL_WITH_ARGS("TransferRemoved", SD_BUS_ARGS("u", id, "s", result, "s", message), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineNew", SD_BUS_ARGS("s", name, "o", machine), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MachineRemoved", SD_BUS_ARGS("s", name, "o", machine), 0),
        SD_BUS_VTABLE_END,
};

/* --- the object of a machine --------------------------------------------------------------------------- */

DEFINE_BUS_GETTER(state, Machine, sd_bus_message_append(reply, "s", machine_state_to_string(object)));
DEFINE_BUS_GETTER(leader, Machine, sd_bus_message_append(reply, "u", leader_of(object)));
DEFINE_BUS_GETTER(image, Machine, sd_bus_message_append(reply, "s", machine_image(object)));
DEFINE_BUS_GETTER(uuid, Machine, sd_bus_message_append(reply, "s", object->record.uuid));

static const sd_bus_vtable properties[] = {
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
        SD_BUS_VTABLE_END,
};

static int find_machine(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                        sd_bus_error *error)
{
        const BusDoor *door = userdata;
        _cleanup_free_ char *name = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, REGISTRY1_MACHINES, &name);
        if (r <= 0)
                return r;
        *ret = manager_find(door->manager, name);
        return *ret != NULL;
}

static int list_machines(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        const BusDoor *door = userdata;
        _cleanup_strv_ Strv nodes = NULL;

        (void) bus;
        (void) path;
        (void) error;
        for (size_t i = 0; i < door->manager->n_machines; i++) {
                int r = strv_consume(&nodes, bus_path(REGISTRY1_MACHINES, door->manager->machines[i]->name));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(nodes);
        return 1;
}

/* --- signals ------------------------------------------------------------------------------------------- */

static void emit(const Registry1 *registry, const char *signal, const char *types, ...)
{
        va_list ap;
        int r;

        va_start(ap, types);
        r = sd_bus_emit_signalv(registry->door.bus, REGISTRY1_PATH, REGISTRY1_INTERFACE, signal, types, ap);
        va_end(ap);
        if (r < 0)
                log_warning_errno(r, "Failed to emit the signal %s", signal);
}

static void on_machine_changed(void *userdata, Machine *m, bool there)
{
        _cleanup_free_ char *path = bus_path(REGISTRY1_MACHINES, m->name);

        if (path)
                emit(userdata, there ? "MachineNew" : "MachineRemoved", "so", m->name, path);
}

static void on_transfer_begun(void *userdata, const Transfer *t)
{
        emit(userdata, "TransferNew", "u", t->id);
}

static void on_transfer_progress(void *userdata, const Transfer *t, uint64_t bytes)
{
        emit(userdata, "TransferProgress", "udt", t->id, t->progress, bytes);
}

static void on_transfer_ended(void *userdata, const Transfer *t, const char *result, const char *message)
{
        emit(userdata, "TransferRemoved", "uss", t->id, result, message ?: "");
}

/* --- the door ------------------------------------------------------------------------------------------ */

int registry1_add(Registry1 *registry, Manager *manager, sd_bus *bus)
{
        BusDoor *door = &registry->door;
        int r;

        bus_door_init(door, manager, bus, FAMILY_MCTL, REGISTRY1_MACHINES);
        r = bus_door_add_manager(door, REGISTRY1_PATH, REGISTRY1_INTERFACE, registry1_methods, signals);
        if (r >= 0)
                r = bus_door_add_objects(door, REGISTRY1_MACHINES, REGISTRY1_MACHINE, TARGET_MACHINE,
                                         registry1_methods, properties, find_machine);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, REGISTRY1_MACHINES, list_machines, door);
        if (r < 0)
                return r;
        registry->observer = (Observer){ .machine_changed = on_machine_changed,
                                         .transfer_begun = on_transfer_begun,
                                         .transfer_progress = on_transfer_progress,
                                         .transfer_ended = on_transfer_ended,
                                         .userdata = registry };
        manager_observe(manager, &registry->observer);
        return 0;
}

void registry1_clear(Registry1 *registry)
{
        bus_door_clear(&registry->door);
}

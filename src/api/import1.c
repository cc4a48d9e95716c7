/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/import1.h"

#include <syslog.h>

#include "basic/parse.h"
#include "manager/transfer.h"

#define OBJECT_PREFIX IMPORT1_TRANSFERS "/_"

static char *path_of(uint32_t id)
{
        return strf(OBJECT_PREFIX "%u", id);
}

/* Whether a transfer has a type of this interface. */
static bool is_known(const Transfer *t)
{
        return t->work != WORK_CLONE;
}

static Transfer *find_by_path(const Manager *manager, const char *path)
{
        const char *number = startswith(path, OBJECT_PREFIX);
        uint64_t id;
        Transfer *t = number && parse_u64(number, 0, UINT32_MAX, &id) >= 0
                              ? transfer_find(manager, (uint32_t) id)
                              : NULL;

        return t && is_known(t) ? t : NULL;
}

/* --- what is asked and answered ------------------------------------------------------------------------ */

static int append_begun(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const TransferBegunAnswer *begun = answer;
        _cleanup_free_ char *path = path_of(begun->id);

        (void) call;
        OOM_CHECK(path);
        return sd_bus_message_append(reply, "uo", begun->id, path);
}

static int append_transfer(sd_bus_message *m, const Transfer *t, bool extended)
{
        _cleanup_free_ char *path = path_of(t->id);

        OOM_CHECK(path);
        return extended ? sd_bus_message_append(m, "(ussssdo)", t->id, transfer_type(t), t->remote, t->local,
                                                "machine", t->progress, path)
                        : sd_bus_message_append(m, "(usssdo)", t->id, transfer_type(t), t->remote, t->local,
                                                t->progress, path);
}

static int append_list(const BusCall *call, sd_bus_message *reply, bool extended)
{
        int r = sd_bus_message_open_container(reply, 'a', extended ? "(ussssdo)" : "(usssdo)");

        for (const Transfer *t = call->call.manager->transfers; t && r >= 0; t = t->next)
                if (is_known(t))
                        r = append_transfer(reply, t, extended);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_transfers(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        (void) answer;
        return append_list(call, reply, false);
}

static int append_transfers_extended(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        (void) answer;
        return append_list(call, reply, true);
}

/* Cancel() of an object has the number of the transfer in its path; CancelTransfer() has it as an argument.
 */
static int read_cancelled(BusCall *call, sd_bus_message *m, void *arguments)
{
        const char *path = sd_bus_message_get_path(m);
        TransferIdArguments *a = arguments;
        const Transfer *t;

        if (streq(path, IMPORT1_PATH)) {
                int r = sd_bus_message_read(m, "u", &a->id);
                t = r < 0 ? NULL : transfer_find(call->call.manager, a->id);
                if (t && !is_known(t))
                        a->id = 0;
                return r;
        }
        t = find_by_path(call->call.manager, path);
        a->id = t ? t->id : 0;
        return 0;
}

/* --- methods ------------------------------------------------------------------------------------------- */

#define BEGINS(member, operation, in)                                                                   \
        {                                                                                               \
                member, NULL, &operation, in, "=u:transfer_id =o:transfer_path", .append = append_begun \
        }
#define IMPORT    "file:fd name:local_name replace:force readOnly"
#define IMPORT_EX "file:fd name:local_name class flags"
#define EXPORT    "name:local_name file:fd format"
#define EXPORT_EX "name:local_name class file:fd format flags"
#define PULL      "url name:local_name verify:verify_mode replace:force"
#define PULL_EX   "url name:local_name class verify:verify_mode flags"

const BusMethod import1_methods[] = {
        BEGINS("ImportTar", operation_import_tar, IMPORT),
        BEGINS("ImportTarEx", operation_import_tar, IMPORT_EX),
        BEGINS("ImportRaw", operation_import_raw, IMPORT),
        BEGINS("ImportRawEx", operation_import_raw, IMPORT_EX),
        BEGINS("ImportFileSystem", operation_import_directory, IMPORT),
        BEGINS("ImportFileSystemEx", operation_import_directory, IMPORT_EX),
        BEGINS("ExportTar", operation_export_tar, EXPORT),
        BEGINS("ExportTarEx", operation_export_tar, EXPORT_EX),
        BEGINS("ExportRaw", operation_export_raw, EXPORT),
        BEGINS("ExportRawEx", operation_export_raw, EXPORT_EX),
        BEGINS("PullTar", operation_pull_tar, PULL),
        BEGINS("PullTarEx", operation_pull_tar, PULL_EX),
        BEGINS("PullRaw", operation_pull_raw, PULL),
        BEGINS("PullRawEx", operation_pull_raw, PULL_EX),
        { "ListTransfers", NULL, &operation_list_transfers, .out = "=a(usssdo):transfers",
          .append = append_transfers },
        { "ListTransfersEx", NULL, &operation_list_transfers, "class flags", "=a(ussssdo):transfers",
          .append = append_transfers_extended },
        { "CancelTransfer", NULL, &operation_cancel_transfer, "=u:transfer_id", .read = read_cancelled },
        { NULL, "Cancel", &operation_cancel_transfer, .read = read_cancelled },
        {},
};

static const sd_bus_vtable signals[] = {
        SD_BUS_SIGNAL_WITH_ARGS("TransferNew", SD_BUS_ARGS("u", transfer_id, "o", transfer_path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("TransferRemoved",
                                SD_BUS_ARGS("u", transfer_id, "o", transfer_path, "s", result), 0),
        SD_BUS_VTABLE_END,
};

DEFINE_BUS_GETTER(type, Transfer, sd_bus_message_append(reply, "s", transfer_type(object)));

static const sd_bus_vtable others[] = {
        SD_BUS_PROPERTY("Id", "u", NULL, offsetof(Transfer, id), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Local", "s", NULL, offsetof(Transfer, local), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Remote", "s", NULL, offsetof(Transfer, remote), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Verify", "s", NULL, offsetof(Transfer, verify), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Progress", "d", NULL, offsetof(Transfer, progress), 0),
        SD_BUS_SIGNAL_WITH_ARGS("LogMessage", SD_BUS_ARGS("u", priority, "s", line), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ProgressUpdate", SD_BUS_ARGS("d", progress), 0),
        SD_BUS_VTABLE_END,
};

static int find_transfer(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                         sd_bus_error *error)
{
        const BusDoor *door = userdata;

        (void) bus;
        (void) interface;
        (void) error;
        *ret = find_by_path(door->manager, path);
        return *ret != NULL;
}

static int list_transfers(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        const BusDoor *door = userdata;
        _cleanup_strv_ Strv nodes = NULL;
        int r = 0;

        (void) bus;
        (void) path;
        (void) error;
        for (const Transfer *t = door->manager->transfers; t && r >= 0; t = t->next)
                if (is_known(t))
                        r = strv_consume(&nodes, path_of(t->id));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(nodes);
        return 1;
}

/* --- signals ------------------------------------------------------------------------------------------- */

static void on_begun(void *userdata, const Transfer *t)
{
        const Import1 *import1 = userdata;
        _cleanup_free_ char *path = path_of(t->id);

        if (path && is_known(t))
                (void) sd_bus_emit_signal(import1->door.bus, IMPORT1_PATH, IMPORT1_MANAGER, "TransferNew",
                                          "uo", t->id, path);
}

static void on_progress(void *userdata, const Transfer *t, uint64_t bytes)
{
        const Import1 *import1 = userdata;
        _cleanup_free_ char *path = path_of(t->id);

        (void) bytes;
        if (path && is_known(t))
                (void) sd_bus_emit_signal(import1->door.bus, path, IMPORT1_TRANSFER, "ProgressUpdate", "d",
                                          t->progress);
}

static void on_ended(void *userdata, const Transfer *t, const char *result, const char *message)
{
        const Import1 *import1 = userdata;
        _cleanup_free_ char *path = path_of(t->id);

        if (!path || !is_known(t))
                return;
        if (message)
                (void) sd_bus_emit_signal(import1->door.bus, path, IMPORT1_TRANSFER, "LogMessage", "us",
                                          (uint32_t) LOG_ERR, message);
        (void) sd_bus_emit_signal(import1->door.bus, IMPORT1_PATH, IMPORT1_MANAGER, "TransferRemoved", "uos",
                                  t->id, path, result);
}

/* --- the door ------------------------------------------------------------------------------------------ */

int import1_add(Import1 *import1, Manager *manager, sd_bus *bus)
{
        BusDoor *door = &import1->door;
        int r;

        bus_door_init(door, manager, bus, FAMILY_SYSTEMD, "");
        r = bus_door_add_manager(door, IMPORT1_PATH, IMPORT1_MANAGER, import1_methods, signals);
        if (r >= 0)
                r = bus_door_add_objects(door, IMPORT1_TRANSFERS, IMPORT1_TRANSFER, TARGET_NONE,
                                         import1_methods, others, find_transfer);
        return r < 0 ? r : sd_bus_add_node_enumerator(bus, NULL, IMPORT1_TRANSFERS, list_transfers, door);
}

void import1_tell(Import1 *import1)
{
        import1->observer = (Observer){ .transfer_begun = on_begun,
                                        .transfer_progress = on_progress,
                                        .transfer_ended = on_ended,
                                        .userdata = import1 };
        manager_observe(import1->door.manager, &import1->observer);
}

void import1_clear(Import1 *import1)
{
        bus_door_clear(&import1->door);
}

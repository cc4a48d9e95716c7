/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.freedesktop.import1: its manager, and an object for each transfer. */

#include <unistd.h>

#include "basic/log.h"
#include "registry/machine1.h"
#include "registry/transfer.h"

static int object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                       sd_bus_error *error)
{
        const char *number = startswith(path, TRANSFERS_PATH "/_");
        Registry *registry = userdata;

        (void) bus;
        (void) interface;
        (void) error;
        for (Transfer *t = registry->transfers; t && number; t = t->next)
                if (t->id == strtoul(number, NULL, 10)) {
                        *ret = t;
                        return 1;
                }
        return 0;
}

static int node_enumerate(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        const Registry *registry = userdata;
        _cleanup_strv_ Strv nodes = NULL;
        int r = 0;

        (void) bus;
        (void) path;
        (void) error;
        for (const Transfer *t = registry->transfers; t && r >= 0; t = t->next)
                r = strv_consume(&nodes, transfer_path(t));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(nodes);
        return 1;
}

static int cancel_object(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const Transfer *t = userdata;

        return transfer_cancel(call, t->registry, error);
}

/* What begins a transfer, and its arguments: for tar archives and for disk images they are the same. */
#define TRANSFER(name, ...)                                                                          \
        SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS(__VA_ARGS__),                                      \
                                SD_BUS_RESULT("u", transfer_id, "o", transfer_path), transfer_begin, \
                                SD_BUS_VTABLE_UNPRIVILEGED)
#define IMPORT_ARGS    "h", fd, "s", local_name, "b", force, "b", read_only
#define IMPORT_ARGS_EX "h", fd, "s", local_name, "s", class, "t", flags
#define EXPORT_ARGS    "s", local_name, "h", fd, "s", format
#define EXPORT_ARGS_EX "s", local_name, "s", class, "h", fd, "s", format, "t", flags
#define PULL_ARGS      "s", url, "s", local_name, "s", verify_mode, "b", force
#define PULL_ARGS_EX   "s", url, "s", local_name, "s", class, "s", verify_mode, "t", flags

const sd_bus_vtable import1_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        TRANSFER("ImportTar", IMPORT_ARGS),
        TRANSFER("ImportTarEx", IMPORT_ARGS_EX),
        TRANSFER("ImportRaw", IMPORT_ARGS),
        TRANSFER("ImportRawEx", IMPORT_ARGS_EX),
        TRANSFER("ImportFileSystem", IMPORT_ARGS),
        TRANSFER("ImportFileSystemEx", IMPORT_ARGS_EX),
        TRANSFER("ExportTar", EXPORT_ARGS),
        TRANSFER("ExportTarEx", EXPORT_ARGS_EX),
        TRANSFER("ExportRaw", EXPORT_ARGS),
        TRANSFER("ExportRawEx", EXPORT_ARGS_EX),
        TRANSFER("PullTar", PULL_ARGS),
        TRANSFER("PullTarEx", PULL_ARGS_EX),
        TRANSFER("PullRaw", PULL_ARGS),
        TRANSFER("PullRawEx", PULL_ARGS_EX),
        SD_BUS_METHOD_WITH_ARGS("ListTransfers", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(usssdo)", transfers),
                                transfer_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListTransfersEx", SD_BUS_ARGS("s", class, "t", flags),
                                SD_BUS_RESULT("a(ussssdo)", transfers), transfer_list,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CancelTransfer", SD_BUS_ARGS("u", transfer_id), SD_BUS_NO_RESULT,
                                transfer_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("TransferNew", SD_BUS_ARGS("u", transfer_id, "o", transfer_path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("TransferRemoved",
                                SD_BUS_ARGS("u", transfer_id, "o", transfer_path, "s", result), 0),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable transfer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "u", NULL, offsetof(Transfer, id), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Local", "s", NULL, offsetof(Transfer, local), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Remote", "s", NULL, offsetof(Transfer, remote), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", NULL, offsetof(Transfer, type), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Verify", "s", NULL, offsetof(Transfer, verify), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Progress", "d", NULL, offsetof(Transfer, progress), 0),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, cancel_object,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("LogMessage", SD_BUS_ARGS("u", priority, "s", line), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ProgressUpdate", SD_BUS_ARGS("d", progress), 0),
        SD_BUS_VTABLE_END,
};

int import1_serve(Registry *registry)
{
        int r = sd_bus_add_object_vtable(registry->bus, NULL, IMPORT1_PATH, IMPORT1_MANAGER,
                                         import1_manager_vtable, registry);

        if (r >= 0)
                r = sd_bus_add_fallback_vtable(registry->bus, NULL, TRANSFERS_PATH, IMPORT1_TRANSFER,
                                               transfer_vtable, object_find, registry);
        return r < 0 ? r
                     : sd_bus_add_node_enumerator(registry->bus, NULL, TRANSFERS_PATH, node_enumerate,
                                                  registry);
}

int import1_setup(Registry *registry)
{
        int r;

        if (registry->machine1 != MACHINE1_PROVIDER ||
            access("/usr/share/dbus-1/system-services/" IMPORT1_NAME ".service", F_OK) >= 0)
                return 0;
        r = import1_serve(registry);
        if (r >= 0)
                r = sd_bus_request_name(registry->bus, IMPORT1_NAME, 0);
        if (r == -EEXIST)
                return 0;
        registry->import1 = r >= 0;
        return r < 0 ? log_error_errno(r, "Failed to take the name " IMPORT1_NAME) : 0;
}

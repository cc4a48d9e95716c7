/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "spec/work.h"

/* Transfers: images that come from archives, servers and other images, and exports to archives. Each
 * transfer is a worker. All users can watch transfers, and a user can cancel own ones. */

struct Transfer {
        Manager *manager;
        uint32_t id;
        Work work;
        char *local;  /* the name of the image */
        char *remote; /* the source, "" for a file or another image */
        char *verify; /* the way of verification, "" without verification */
        double progress;
        char *unit;
        uid_t owner; /* the user who began the transfer */
        bool cancelled;
        struct Transfer *next;
};

typedef struct TransferArguments {
        char *name, *format;
        int fd;
        uint64_t flags; /* TRANSFER_… flags, or those of clones */
        bool replace, read_only;
        char *source;              /* for a clone */
        char *url, *verify, *type; /* "tar", "raw" or "directory", for methods of mctl */
        Strv environment;          /* variables of proxies */
        int64_t clamp;             /* seconds since 1970; negative for none */
        char *class;               /* NULL or "machine", the only class */
} TransferArguments;

#define TRANSFER_REPLACE   UINT64_C(1)
#define TRANSFER_READ_ONLY UINT64_C(2)

typedef struct TransferIdArguments {
        uint32_t id;
} TransferIdArguments;

typedef struct TransferBegunAnswer {
        uint32_t id;
} TransferBegunAnswer;

/* Begin a transfer. For the method of mctl, the type is in the arguments. */
extern const Operation operation_import, operation_import_tar, operation_import_raw,
        operation_import_directory;
extern const Operation operation_export, operation_export_tar, operation_export_raw;
extern const Operation operation_pull, operation_pull_tar, operation_pull_raw;
extern const Operation operation_copy_image;

/* The door reads the list from the manager; the answer to the call is empty. */
extern const Operation operation_list_transfers;
extern const Operation operation_cancel_transfer;

/* The name of a type: "import-tar" and so on, as in import1, and "clone". */
const char *transfer_type(const Transfer *transfer);

/* Returns the transfer of this number, or NULL. */
Transfer *transfer_find(const Manager *manager, uint32_t id);

/* Whether a transfer makes an image of this name. */
bool transfer_is_making(const Manager *manager, const char *name);

/* Continues a transfer after a crash of the registry, by the name of the descriptor that systemd has stored.
 * Returns false if the descriptor is not of a transfer. Otherwise takes ownership of the descriptor. */
bool transfer_restore(Manager *manager, const char *fd_name, int fd);

void transfers_free(Manager *manager);

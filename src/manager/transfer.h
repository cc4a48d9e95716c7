/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "spec/work.h"

/* Images that come from archives, servers and other images, and go to archives: each transfer is a worker,
 * which others can watch and cancel, whoever began it. */

struct Transfer {
        Manager *manager;
        uint32_t id;
        Work work;
        char *local;  /* the name of the image */
        char *remote; /* where it comes from, "" for a file and for another image */
        char *verify; /* how that is verified, "" where it is not */
        double progress;
        char *unit;
        uid_t owner; /* who began it */
        bool cancelled;
        struct Transfer *next;
};

typedef struct TransferArguments {
        char *name, *format;
        int fd;
        uint64_t flags; /* TRANSFER_…, or those of clones */
        bool replace, read_only;
        char *source;              /* of a clone */
        char *url, *verify, *type; /* "tar" or "raw", as our own methods name it */
        Strv environment;          /* of proxies */
        int64_t clamp;             /* seconds since 1970; negative for none */
        char *class;               /* NULL or "machine": there are no others */
} TransferArguments;

#define TRANSFER_REPLACE   UINT64_C(1)
#define TRANSFER_READ_ONLY UINT64_C(2)

typedef struct TransferIdArguments {
        uint32_t id;
} TransferIdArguments;

typedef struct TransferBegunAnswer {
        uint32_t id;
} TransferBegunAnswer;

/* What begins one. The type of our own is in the arguments. */
extern const Operation operation_import, operation_import_tar, operation_import_raw,
        operation_import_directory;
extern const Operation operation_export, operation_export_tar, operation_export_raw;
extern const Operation operation_pull, operation_pull_tar, operation_pull_raw;
extern const Operation operation_copy_image;

/* The list is the manager's; the call is answered with nothing. */
extern const Operation operation_list_transfers;
extern const Operation operation_cancel_transfer;

/* "import-tar" and its like, as import1 has them, and "clone". */
const char *transfer_type(const Transfer *transfer);

/* The one of that number, or NULL. */
Transfer *transfer_find(const Manager *manager, uint32_t id);

/* Whether an image of that name is being made. */
bool transfer_is_making(const Manager *manager, const char *name);

/* Takes back one that was under way before a crash, by the name of the descriptor that systemd has kept.
 * False where it is none of ours; else the descriptor is taken over. */
bool transfer_restore(Manager *manager, const char *fd_name, int fd);

void transfers_free(Manager *manager);

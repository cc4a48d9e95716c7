/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* Images that come from archives and go to them: each transfer is a worker, which others can watch and cancel, whoever began it.
 * They are on org.mctl.Registry1, and where no systemd-importd is installed, on org.freedesktop.import1 (org.freedesktop.import1(5)),
 * where we are also the provider of machine1. */

#define IMPORT1_NAME     "org.freedesktop.import1"
#define IMPORT1_PATH     "/org/freedesktop/import1"
#define IMPORT1_MANAGER  "org.freedesktop.import1.Manager"
#define IMPORT1_TRANSFER "org.freedesktop.import1.Transfer"
#define TRANSFERS_PATH   IMPORT1_PATH "/transfer"

typedef struct Transfer {
        Registry *registry;
        uint32_t id;
        const char *type; /* as import1 has it: a constant */
        char *local;      /* the name of the image */
        char *remote;     /* where it comes from, "" for a file and for another image */
        char *verify;     /* how that is verified, "" where it is not */
        double progress;
        char *unit;
        uid_t owner; /* who began it */
        bool cancelled;
        struct Transfer *next;
} Transfer;

/* Its object there; the caller frees the path. */
char *transfer_path(const Transfer *t);

/* Methods of org.mctl.Registry1: ImportImage(s name, s type, h file, t flags) → (u id), ExportImage(s name, s format, h file, x clamp)
 * → (u id), CopyImage(s name, s new_name, t flags) → (u id), ListTransfers() → (a(ussd)), CancelTransfer(u id). */
int transfer_begin(sd_bus_message *call, void *userdata, sd_bus_error *error);
int transfer_list(sd_bus_message *call, void *userdata, sd_bus_error *error);
int transfer_cancel(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* import1.c: takes the name org.freedesktop.import1, where it is to be had; and the objects that are offered there. */
int import1_setup(Registry *registry);
int import1_serve(Registry *registry);
extern const sd_bus_vtable import1_manager_vtable[];

/* Whether an image of that name is being made. */
bool transfer_is_making(const Registry *registry, const char *name);

/* Takes back one that was under way before a crash, by the name of the descriptor that systemd has kept. False where it is none of
 * ours; else the descriptor is taken over. */
bool transfer_restore(Registry *registry, const char *fd_name, int fd);

void transfers_free(Registry *registry);

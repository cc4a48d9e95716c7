/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/varlink.h"
#include "manager/manager.h"

/* What newer clients of systemd ask over varlink, where we are the provider of org.freedesktop.machine1:
 * io.systemd.Machine and io.systemd.MachineImage, and in io.systemd.UserDatabase the users of machines,
 * "vu-NAME-UID", which nss-systemd and userdbctl read. */

typedef struct MachineVarlink {
        VarlinkServer *machines, *users;
} MachineVarlink;

/* Listens. Errors have been logged. */
int machine_varlink_open(MachineVarlink *varlink, Manager *manager);
void machine_varlink_close(MachineVarlink *varlink);

/* userdb.c */
extern const VarlinkMethod userdb_methods[];

/* image-varlink.c: each is a method of its own. */
int image_varlink_list(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);
int image_varlink_change(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/varlink.h"
#include "manager/manager.h"

/* Varlink interfaces for newer clients of systemd, if this process is the provider of
 * org.freedesktop.machine1: io.systemd.Machine, io.systemd.MachineImage, and io.systemd.UserDatabase with
 * the users of machines, "vu-NAME-UID", for nss-systemd and userdbctl. */

typedef struct MachineVarlink {
        VarlinkServer *machines, *users;
} MachineVarlink;

/* Begins to listen. Errors have been logged. */
int machine_varlink_open(MachineVarlink *varlink, Manager *manager);
void machine_varlink_close(MachineVarlink *varlink);

/* userdb.c */
extern const VarlinkMethod userdb_methods[];

/* image-varlink.c: functions of methods. */
int image_varlink_list(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);
int image_varlink_change(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);

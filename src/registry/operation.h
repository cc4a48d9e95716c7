/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* What can be asked of one machine, or done to it, is on the bus twice: as a method of a manager, with the name of the
 * machine in front, and as a method of the machine's object. Both are one row of a table, and one handler serves all rows
 * of all tables: it lists the units anew, finds the machine, asks polkit where the row says so, finds the machine once
 * more, since that may have taken a while, and runs the row. */

typedef struct Operation {
        const char *manager, *machine; /* the names of the methods; NULL for none */
        const char *action, *verb;     /* what polkit is asked; without an action anybody may */
        const char *host_action; /* the same where it is asked of the host (HOST_NAME); NULL: not of that */
        bool owner;              /* who registered the machine is asked nothing */
        MachineAction run;
        /* What rules of polkit may want to know besides, keys and values by turns; NULL for nothing. */
        int (*details)(sd_bus_message *call, Strv *ret);
} Operation;

/* The tables of an interface and where its objects are. */
typedef struct OperationFamily {
        const char *objects;   /* the path above those of machines */
        const char *error;     /* for a name that no machine has */
        const Operation *rows; /* end with an empty one */
        Machine *(*find)(Registry *registry, const char *name, sd_bus_message *call);
} OperationFamily;

extern const OperationFamily registry_operations; /* bus-registry.c */
extern const OperationFamily machine1_operations; /* machine1-methods.c */

/* Handlers for vtables whose userdata is the registry, and a machine. */
int operation_of_manager(sd_bus_message *call, void *userdata, sd_bus_error *error);
int operation_of_machine(sd_bus_message *call, void *userdata, sd_bus_error *error);

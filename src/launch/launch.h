/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "launch/tree.h"
#include "sandbox/plan.h"
#include "state/record.h"

/* The launcher is a library. A failure is returned, with a text as in basic/failure.h. Two kinds of text
 * cannot be returned, and are passed to this function: failures that do not fail the start, and the reason
 * why the first process has not executed its program after the hand-over. */
typedef void (*LaunchTell)(const char *text);

/* Carries out a plan, as the main process of the machine's unit: builds the tree, starts the first process
 * of the container as a child of the service manager, and makes it the main process of the unit. Returns 0
 * when all is done: then the launcher only exits. The tree comes from tree_open(). If the program fails,
 * ret_status is its exit status. */
int launch_run(const Plan *plan, MachineUnitKind kind, int machine_fd, const Tree *tree, Record *record,
               LaunchTell tell, int *ret_status, char **ret_error);

/* Claims the name for this unit, the image and a range of IDs, and writes a first record. -EBUSY if the
 * machine runs as another unit, or if another machine writes to the image. */
int launch_claim(const Scope *scope, Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd,
                 Record *record, char **ret_error);

/* Removes what a run of this unit has left: claims, cgroups and record. May be called twice. */
int launch_cleanup(const Scope *scope, MachineUnitKind kind, const char *name, LaunchTell tell,
                   char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "launch/tree.h"
#include "sandbox/plan.h"
#include "state/record.h"

/* The launcher is a library: what fails is returned, with a text as basic/failure.h has them. What it cannot
 * return it tells as a line of text: what does no harm, and why the first process, which nobody waits for
 * any more, has become no program. */
typedef void (*LaunchTell)(const char *text);

/* Carries a plan out, as the main process of the machine's unit: builds the tree, starts the first process
 * of the container as a child of the service manager, and hands it over as the unit's main process. Returns
 * 0 when all is done and this process has only to exit. The tree is from tree_open(). Where the
 * program is what fails, ret_status is set to what to exit with. */
int launch_run(const Plan *plan, MachineUnitKind kind, int machine_fd, const Tree *tree, Record *record,
               LaunchTell tell, int *ret_status, char **ret_error);

/* Takes the name for this unit, the image and a range of ids, and writes a first record. -EBUSY
 * when the machine runs as another unit or another machine writes to the image. */
int launch_claim(const Scope *scope, Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd,
                 Record *record, char **ret_error);

/* What is left of a run of this unit goes: ids, cgroup, record. Twice is no harm. */
int launch_cleanup(const Scope *scope, MachineUnitKind kind, const char *name, LaunchTell tell,
                   char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "launch/tree.h"
#include "sandbox/plan.h"
#include "sandbox/record.h"

/* Carries a plan out, as the main process of the machine's unit: builds the tree, starts the first process of the
 * container as a child of the service manager, and hands it over as the unit's main process. Returns 0 when all is
 * done and this process has only to exit. The tree is from tree_open(). Errors have been logged; ret_status is set where they are about the program,
 * to what to exit with. */
int launch_run(const Plan *plan, MachineUnitKind kind, int machine_fd, const Tree *tree, Record *record,
               int *ret_status);

/* Takes the name for this unit, the image and a range of ids, and writes a first record. -EBUSY, logged, when the machine
 * runs as another unit or another machine writes to the image. */
int launch_claim(Spec *spec, MachineUnitKind kind, int run_fd, int machine_fd, Record *record);

/* What is left of a run of this unit goes: ids, cgroup, record. Twice is no harm. */
int launch_cleanup(MachineUnitKind kind, const char *name);

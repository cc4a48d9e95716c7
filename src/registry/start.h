/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* StartMachine(s spec) and RunMachine(s spec, h stdin, h stdout, h stderr) → (o machine, s unit, o job, as warnings);
 * PlanMachine(s spec) → (s plan). The caller has been authorized. CheckProperties(as assignments) → (as problems) is for
 * anybody. */
int start_machine(Registry *registry, sd_bus_message *call);
int plan_machine(Registry *registry, sd_bus_message *call);
int check_assignments(Registry *registry, sd_bus_message *call);

/* Whether a machine of that name is about to be started by us. */
bool start_is_pending(const Registry *registry, const char *name);

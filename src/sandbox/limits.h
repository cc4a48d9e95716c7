/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* Sets resource limits, the OOM score and the CPU affinity that a spec asks for, for a process and what it
 * starts. */
int limits_apply(pid_t pid, const Spec *spec);

/* Sets the resource limits, the NUMA policy and the personality of this process. */
int limits_apply_self(const Spec *spec);

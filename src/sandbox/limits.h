/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* Sets the resource limits, the OOM score and the CPU affinity of a spec for a process. The children of the
 * process inherit them. */
int limits_apply(pid_t pid, const Spec *spec);

/* Sets the resource limits, the NUMA policy and the personality of this process. */
int limits_apply_self(const Spec *spec);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* Replaces specifiers (%i, %m, …) in a value of a machine file; mctl.machine(5) lists them. The caller frees
 * the result. -EINVAL for an unknown specifier. */
int spec_expand(const Spec *spec, const char *value, char **ret);

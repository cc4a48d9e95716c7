/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* The transient unit of a machine, as assignments in the spelling of systemd.directives(7): what makes it a
 * machine, then what the spec adds. The template container@.service says the same. The caller frees the
 * list. */
int machine_unit_assignments(const Scope *scope, const Spec *spec, Strv *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* Makes the properties of a machine's transient unit, as assignments in the syntax of systemd.directives(7):
 * first those of each machine, then those of the spec. The template container@.service has the same ones.
 * The caller frees the list. */
int machine_unit_assignments(const Scope *scope, const Spec *spec, Strv *ret);

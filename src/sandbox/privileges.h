/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/passwd.h"
#include "spec/spec.h"

/* The bounding set of a machine: what its kind of payload needs, with what the spec adds and drops. */
uint64_t capability_bounding_set(const Spec *spec) _pure_;

/* Makes this process what it is to be for good: narrows the bounding set to `bounding`, becomes the person, keeps
 * `ambient` as ambient capabilities, and everything else that root has where the person is root. The inheritable set is
 * emptied but for the ambient ones. */
int privileges_drop(const Person *person, uint64_t bounding, uint64_t ambient);

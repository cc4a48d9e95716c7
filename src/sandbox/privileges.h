/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/passwd.h"
#include "spec/spec.h"

/* Returns the bounding set of a machine: the capabilities that its kind of payload needs, with the additions
 * and removals of the spec. */
uint64_t capability_bounding_set(const Spec *spec) _pure_;

/* Change the user and the capabilities of this process for good, in two steps. The filter is loaded between
 * the steps, and must allow no more than to drop capabilities. privileges_become() narrows the bounding set,
 * and changes the user. privileges_drop() drops all capabilities but the ambient ones and, for root, the
 * bounding set. The inheritable set has the ambient capabilities only. */
int privileges_become(const Person *person, uint64_t bounding);
int privileges_drop(const Person *person, uint64_t bounding, uint64_t ambient);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/passwd.h"
#include "spec/spec.h"

/* The bounding set of a machine: what its kind of payload needs, with what the spec adds and drops. */
uint64_t capability_bounding_set(const Spec *spec) _pure_;

/* Makes this process what it is to be for good, in two steps, between which the filter is loaded: only
 * capabilities are left to be dropped then, so the filter need not allow more than that for our sake. The
 * first narrows the bounding set and becomes the person; the second drops all capabilities but, where the
 * person is root, those of the bounding set, and keeps the ambient ones. The inheritable set is empty but
 * for these. */
int privileges_become(const Person *person, uint64_t bounding);
int privileges_drop(const Person *person, uint64_t bounding, uint64_t ambient);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/worker.h"

/* Facts for the start of a machine, which a child of the manager finds out; see WORK_PREPARE and
 * LookFunction. */
int look_prepare(const Scope *scope, const void *request, void *answer, char **ret_error);

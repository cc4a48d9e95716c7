/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/worker.h"

/* What a child of the manager finds out of a machine that is about to be started; see WORK_PREPARE and
 * LookFunction. */
int look_prepare(const Scope *scope, const void *request, void *answer, char **ret_error);

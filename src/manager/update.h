/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Updates of machines by mctl-update, which undoes an update that fails; see update/update.h. */

typedef struct UpdateArguments {
        char *image;      /* the machine gets the contents of this image */
        char *health;     /* a shell command in the machine that must succeed; "" for none */
        uint64_t timeout; /* µs, 0 for 90 s */
} UpdateArguments;

/* Updates a machine, which need not be running. The answer, an UpdateAnswer, comes when the update is
 * complete. The update goes on after the caller has left. */
extern const Operation operation_update_machine;

/* Undoes an update of an image. */
extern const Operation operation_undo_update;

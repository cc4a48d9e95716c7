/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Updates of machines that undo themselves, by mctl-update; see update/update.h. */

typedef struct UpdateArguments {
        char *image;      /* the machine gets what this image has */
        char *health;     /* a shell command inside that has to succeed; "" for none */
        uint64_t timeout; /* µs, 0 for 90 s */
} UpdateArguments;

/* The target is a machine, which need not be running. The answer, an UpdateAnswer, comes when the update is
 * good; it goes on when who asked is gone. */
extern const Operation operation_update_machine;

/* The target is the image. */
extern const Operation operation_undo_update;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "spec/work.h"

/* Images of the store: what is there, and what an image says of itself. Nothing here looks at a file system:
 * that is done by others, and whoever asks the same meanwhile gets the same answer. */

typedef struct ListImagesArguments {
        bool details;  /* the operating system, snapshots and layers as well */
        bool metadata; /* what each image says of itself as well */
} ListImagesArguments;

typedef struct MeasureArguments {
        Strv names;
} MeasureArguments;

/* All images, without details and with them: a ListAnswer of work.h. */
extern const Operation operation_list_images, operation_list_images_detailed;
/* The image of that name, with the details that are wanted: a ListAnswer with one image. */
extern const Operation operation_get_image;
/* What an image says of itself: an InspectAnswer. */
extern const Operation operation_inspect_image;
extern const Operation operation_list_snapshots;
extern const Operation operation_measure_images;
extern const Operation operation_verify_image;

/* A machine that runs from that image of the store, or NULL. Those of mctl a worker looks for once more,
 * under the lock that a start takes; of others nobody else knows. */
const Machine *images_find_user(const Manager *manager, const char *name);

/* The same, one after the other: `from` is 0 at first. */
const Machine *images_next_user(const Manager *manager, const char *name, size_t *from);

/* The machine of ours that writes to an image, or NULL. */
const Machine *images_find_writer(const Manager *manager, const char *name);

/* Judges the name that a call is about: answers the call and returns 0 where no image can have it. With
 * `change`, the host's own name is none. */
int images_judge_target(Call *call, bool change);

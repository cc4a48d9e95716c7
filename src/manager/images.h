/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "spec/work.h"

/* Images of the store: the list, and facts in an image. A child reads the file systems, so the event loop
 * does not wait. Equal calls get the same answer. */

typedef struct ListImagesArguments {
        bool details;  /* flag: with the operating system, snapshots and layers */
        bool metadata; /* flag: with the facts in each image */
} ListImagesArguments;

typedef struct MeasureArguments {
        Strv names;
} MeasureArguments;

/* List all images, without and with details. The answer is a ListAnswer of work.h. */
extern const Operation operation_list_images, operation_list_images_detailed;
/* Reads one image with the wanted details. The answer is a ListAnswer with one image. */
extern const Operation operation_get_image;
/* Reads the facts in an image. The answer is an InspectAnswer. */
extern const Operation operation_inspect_image;
extern const Operation operation_list_snapshots;
extern const Operation operation_measure_images;
extern const Operation operation_verify_image;

/* Returns a machine that runs from an image of the store, or NULL. For machines of mctl, a worker checks
 * again, under the lock of starts. Machines of other programs are known only here. */
const Machine *images_find_user(const Manager *manager, const char *name);

/* Returns the next machine that runs from the image; `from` is 0 for the first. */
const Machine *images_next_user(const Manager *manager, const char *name, size_t *from);

/* Returns the machine of mctl that writes to an image, or NULL. */
const Machine *images_find_writer(const Manager *manager, const char *name);

/* Checks the name in a call. For a name that no image can have, answers the call and returns 0. With
 * `change`, the name of the host is refused as well. */
int images_judge_target(Call *call, bool change);

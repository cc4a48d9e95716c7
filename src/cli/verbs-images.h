/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "cli/context.h"

/* Verbs about images and their snapshots. Each returns an exit status, or a negative errno, logged. */
int verb_images(Context *c, char **args);
int verb_image_status(Context *c, char **args);
int verb_show_image(Context *c, char **args);
int verb_clone(Context *c, char **args);
int verb_rename(Context *c, char **args);
int verb_remove(Context *c, char **args);
int verb_read_only(Context *c, char **args);
int verb_set_limit(Context *c, char **args);
int verb_prune(Context *c, char **args);
int verb_snapshot(Context *c, char **args);
int verb_snapshots(Context *c, char **args);
int verb_rollback(Context *c, char **args);
int verb_remove_snapshot(Context *c, char **args);
int verb_diff(Context *c, char **args);
int verb_commit(Context *c, char **args);

/* Verifies an image. Prints the result or, unless `all` is NULL, appends it to the array `all`. Returns a
 * negative errno, logged, if the image cannot be read or has another digest than --digest=. */
int image_verify(Context *c, const char *name, json_t *all);

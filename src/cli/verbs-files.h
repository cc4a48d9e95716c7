/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/context.h"

/* Verbs that copy and mount files. Each returns an exit status, or a negative errno, logged. */
int verb_copy_to(Context *c, char **args);
int verb_copy_from(Context *c, char **args);
int verb_cp(Context *c, char **args);
int verb_bind(Context *c, char **args);
int verb_unbind(Context *c, char **args);
int verb_mount(Context *c, char **args);
int verb_mount_image(Context *c, char **args);
int verb_umount(Context *c, char **args);

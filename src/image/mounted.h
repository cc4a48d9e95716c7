/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/stack.h"

/* Where an image of a store is mounted on the host ("mctl mount"), by what the kernel says; machines have theirs elsewhere. The caller frees the
 * list, which is empty (NULL) for most. -ENOENT where there is no such image. */
int image_find_mounts(int store_fd, const char *name, Strv *ret);

/* The same for a stack of which these are the layers. */
int layers_find_mounts(const Layers *layers, Strv *ret);

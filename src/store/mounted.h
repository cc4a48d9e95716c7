/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/stack.h"

/* Returns the directories of the host on which an image of the store is mounted ("mctl mount"), from the
 * kernel's table of mounts. Mounts of machines are in other mount namespaces, and are not listed. The caller
 * frees the list, which is NULL if the image is not mounted. -ENOENT if there is no such image. */
int image_find_mounts(int store_fd, const char *name, Strv *ret);

/* The same for a stack with these layers. */
int layers_find_mounts(const Layers *layers, Strv *ret);

/* Returns the mount points of the host below the tree of an image of a store. The caller frees the list. */
int image_find_inner_mounts(int store_fd, const char *name, Strv *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "mount/fs-context.h"

/* Greatest number of layers of an overlay, and the number for older kernels, where a string of 255
 * characters has to name all layers. */
#define OVERLAY_LAYERS_MAX     100U
#define OVERLAY_LAYERS_OLD_MAX 50U

/* Returns OVERLAY_LAYERS_MAX or OVERLAY_LAYERS_OLD_MAX, as this kernel needs. */
unsigned overlay_layers_max(void);

/* The parts of an overlay. `lower` are paths, topmost first. `upper` and `work` may be NULL. */
typedef struct Overlay {
        Strv lower;
        const char *upper, *work;
        unsigned attr; /* MOUNT_ATTR_… */
        /* Creates the file system as another user. If NULL, the file system is created as the caller. */
        int (*create)(FsContext *context, const void *userdata);
        const void *userdata;
} Overlay;

/* Makes an overlay and mounts it, but attaches it nowhere. If the upper layer cannot be written, the kernel
 * makes the overlay read-only; then this function returns -ENOSPC or -EROFS. -E2BIG if the kernel cannot
 * take so many layers. Returns a descriptor. */
int overlay_make(const Overlay *overlay);

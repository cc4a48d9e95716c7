/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stddef.h>

#include "basic/str.h"

/* How many layers an overlay of ours can have; and on kernels where one string of 255 characters has to name them all. */
#define OVERLAY_LAYERS_MAX     100U
#define OVERLAY_LAYERS_OLD_MAX 50U

/* Which of the two it is here. */
unsigned overlay_layers_max(void);

/* What has to be so until the overlay is made: where names would be too long, the working directory is another one. */
typedef struct OverlayLowers {
        int back_fd;
        int fds[OVERLAY_LAYERS_MAX];
        size_t n_fds;
} OverlayLowers;

#define OVERLAY_LOWERS_NONE       \
        {                         \
                .back_fd = -EBADF \
        }

/* The working directory is what it was. */
void overlay_lowers_clear(OverlayLowers *lowers);
#define _cleanup_overlay_lowers_ _cleanup_(overlay_lowers_clear)

/* Gives an overlay that is being made (fsopen(2)) its lower layers, topmost first. The caller clears `lowers` when it is made.
 * -E2BIG where the kernel has no room for so many. */
int overlay_add_lowers(int fs_fd, const Strv paths, OverlayLowers *lowers);

/* Mounts it, once it is made, with attributes (MOUNT_ATTR_…); attached nowhere. The kernel makes it read-only
 * where its upper layer cannot be written to: for a writable one, that is -ENOSPC or -EROFS. Returns a descriptor. */
int overlay_mount(int fs_fd, unsigned attr, bool writable);

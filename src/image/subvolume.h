/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/stack.h"

/* Subvolumes of btrfs, and snapshots of them, in no time.
 *
 * The snapshots of an image are subvolumes SNAPSHOTS_DIR/UUID/NAME of the store, by the UUID of the image. So they stay its own whoever
 * renames it, a clone has none of them, and once no subvolume of the file system has that UUID they are nobody's, and are swept away.
 *
 * `image_fd` is a subvolume that is no O_PATH; whoever changes something has the lock of stack_lock(). */

#define SNAPSHOTS_DIR ".#mctl.snapshots"

/* Makes a copy as `name` below dir_fd, with copies of the subvolumes in it. */
int subvolume_copy(int image_fd, int dir_fd, const char *name, bool read_only);

/* The snapshots of an image, the oldest first, without layers. The caller frees them. */
int subvolume_list_snapshots(int store_fd, int image_fd, Snapshot **ret, size_t *ret_n);

/* Makes one, and says when that was (µs since 1970) where ret_time is not NULL; opens one; and destroys one. -EEXIST, -ENOENT. */
int subvolume_take_snapshot(int store_fd, int image_fd, const char *name);
int subvolume_open_snapshot(int store_fd, int image_fd, const char *name);
int subvolume_remove_snapshot(int store_fd, int image_fd, const char *name);

/* Makes a copy of `source_fd` what the image `file` is, which becomes the snapshot `keep` of that, with all its others. Whoever runs from it
 * goes on with what it was. Before the copy has the name, it is given to `prepare`. */
typedef int (*SubvolumePrepare)(int tree_fd, void *userdata);
int subvolume_switch(int store_fd, const char *file, int source_fd, const char *keep,
                     SubvolumePrepare prepare, void *userdata);

/* Ends what somebody was killed over, and destroys the snapshots of images that are gone. */
int subvolume_sweep(int store_fd);

/* Destroys a subvolume, with those in it. */
int subvolume_destroy(int dir_fd, const char *name);

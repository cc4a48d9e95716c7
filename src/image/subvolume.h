/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/stack.h"

/* Subvolumes of btrfs, and snapshots of them, in no time.
 *
 * The snapshots of an image are subvolumes SNAPSHOTS_DIR/UUID/NAME of the store, by the UUID of the image. So they stay its own whoever
 * renames it, a clone has none of them, and once no subvolume of the file system has that UUID they are nobody's, and are swept away.
 *
 * `image_fd` is a subvolume that is no O_PATH; whoever changes something has the lock of stack_lock(). */

#define SNAPSHOTS_DIR         ".#mctl.snapshots"
#define SUBVOLUME_UUID_LENGTH 32U

typedef struct SubvolumeInfo {
        char uuid[SUBVOLUME_UUID_LENGTH + 1];
        uint64_t time; /* when it was made, µs since 1970 */
} SubvolumeInfo;

/* subvolume-list.c: what needs no library */

/* Asks the kernel who a subvolume is. -ENOTTY for what is on another file system. */
int subvolume_info(int image_fd, SubvolumeInfo *ret);

/* Writes a UUID as the snapshots go by. */
void subvolume_format_uuid(const uint8_t uuid[16], char ret[static SUBVOLUME_UUID_LENGTH + 1]);

/* Opens a subvolume of a directory. -ENOENT for what is none. */
int subvolume_open(int dir_fd, const char *name);

/* Opens the directory of the snapshots of an image. */
int subvolume_open_snapshots(int store_fd, int image_fd, bool make);

/* The snapshots of an image, the oldest first, without layers. The caller frees them. */
int subvolume_list_snapshots(int store_fd, int image_fd, Snapshot **ret, size_t *ret_n);

/* subvolume.c */

/* Makes an empty one. -ENOTTY where the file system has none. */
int subvolume_make(int dir_fd, const char *name);
int subvolume_set_read_only(int fd, bool read_only);

/* Makes a copy as `name` below dir_fd, with copies of the subvolumes in it. */
int subvolume_copy(int image_fd, int dir_fd, const char *name, bool read_only);

/* Makes a snapshot, opens one, and destroys one. -EEXIST, -ENOENT. */
int subvolume_take_snapshot(int store_fd, int image_fd, const char *name);
int subvolume_open_snapshot(int store_fd, int image_fd, const char *name);
int subvolume_remove_snapshot(int store_fd, int image_fd, const char *name);

/* Makes a copy of `source_fd` what the image `file` is, which becomes the snapshot `keep` of that, with all its others; a snapshot that is called so goes. Whoever runs from it
 * goes on with what it was. Before the copy has the name, it is given to `prepare`. */
typedef int (*SubvolumePrepare)(int tree_fd, void *userdata);
int subvolume_switch(int store_fd, const char *file, int source_fd, const char *keep,
                     SubvolumePrepare prepare, void *userdata);

/* The same with a snapshot itself, which is none any more. */
int subvolume_revert(int store_fd, const char *file, const char *snapshot, const char *keep);

/* Gives a snapshot another name; what has that goes. -ENOENT. */
int subvolume_rename_snapshot(int store_fd, int image_fd, const char *name, const char *new_name);

/* Ends what somebody was killed over, under the lock, so that what follows sees all snapshots. */
int subvolume_settle(int store_fd);

/* The same, taking the lock itself, and destroys the snapshots of images that are gone. */
int subvolume_sweep(int store_fd);

/* Destroys a subvolume, with those in it. */
int subvolume_destroy(int dir_fd, const char *name);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/stack.h"

/* Subvolumes of btrfs, and their snapshots, which take no time.
 *
 * Snapshots of an image are subvolumes SNAPSHOTS_DIR/UUID/NAME of the store, with the UUID of the image. An
 * image therefore keeps its snapshots when it is renamed, and a clone has none of them. If no subvolume of
 * the file system has the UUID any more, the snapshots are destroyed by subvolume_sweep().
 *
 * `image_fd` is a subvolume, opened without O_PATH. Callers that change snapshots hold stack_lock(). */

#define SNAPSHOTS_DIR         ".#mctl.snapshots"
#define SUBVOLUME_UUID_LENGTH 32U

typedef struct SubvolumeInfo {
        char uuid[SUBVOLUME_UUID_LENGTH + 1];
        uint64_t time; /* of creation, µs since 1970 */
} SubvolumeInfo;

/* subvolume-list.c: functions that do not need libbtrfsutil */

/* Reads UUID and time of a subvolume. -ENOTTY if the file system is not btrfs. */
int subvolume_info(int image_fd, SubvolumeInfo *ret);

/* Writes a UUID in the form of the directories below SNAPSHOTS_DIR. */
void subvolume_format_uuid(const uint8_t uuid[16], char ret[static SUBVOLUME_UUID_LENGTH + 1]);

/* Opens a subvolume in a directory. -ENOENT if the file is no subvolume. */
int subvolume_open(int dir_fd, const char *name);

/* Opens the directory with the snapshots of an image. Makes the directory if `make`. */
int subvolume_open_snapshots(int store_fd, int image_fd, bool make);

/* Returns the snapshots of an image without their layers, the oldest first. The caller frees them. */
int subvolume_list_snapshots(int store_fd, int image_fd, Snapshot **ret, size_t *ret_n);

/* subvolume.c */

/* Makes an empty subvolume. -ENOTTY if the file system is not btrfs. */
int subvolume_make(int dir_fd, const char *name);
int subvolume_set_read_only(int fd, bool read_only);

/* Copies a subvolume, with the subvolumes below it, to `name` in dir_fd. */
int subvolume_copy(int image_fd, int dir_fd, const char *name, bool read_only);

/* Takes, opens or destroys a snapshot. -EEXIST, -ENOENT. */
int subvolume_take_snapshot(int store_fd, int image_fd, const char *name);
int subvolume_open_snapshot(int store_fd, int image_fd, const char *name);
int subvolume_remove_snapshot(int store_fd, int image_fd, const char *name);

/* Replaces the image `file` by a copy of `source_fd`, after prepare() has changed the copy. The old image
 * becomes snapshot `keep`, and the new image has all snapshots. An existing snapshot with that name is
 * destroyed. Machines that run from the old image continue to use it. */
typedef int (*SubvolumePrepare)(int tree_fd, void *userdata);
int subvolume_switch(int store_fd, const char *file, int source_fd, const char *keep,
                     SubvolumePrepare prepare, void *userdata);

/* Replaces the image `file` by its snapshot, which then is no snapshot any more. `keep` is as above. */
int subvolume_revert(int store_fd, const char *file, const char *snapshot, const char *keep);

/* Renames a snapshot. An existing snapshot with the new name is destroyed. -ENOENT. */
int subvolume_rename_snapshot(int store_fd, int image_fd, const char *name, const char *new_name);

/* Completes or undoes interrupted switches, under the lock, so that callers see all snapshots. */
int subvolume_settle(int store_fd);

/* Takes the lock, calls subvolume_settle(), and destroys the snapshots of images that are gone. */
int subvolume_sweep(int store_fd);

/* Destroys a subvolume and the subvolumes below it. */
int subvolume_destroy(int dir_fd, const char *name);

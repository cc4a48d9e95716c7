/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Changes of images of the store. Workers make the changes. */

typedef struct ImageArguments {
        char *new_name;
        bool read_only;
        uint64_t flags; /* for clones: STORE_… flags of store.h */
        uint64_t limit; /* limit in bytes, UINT64_MAX for no limit */
        char *snapshot, *image, *keep;
} ImageArguments;

typedef struct CleanArguments {
        char *mode; /* "all" or "hidden", for the clean-up */
        bool dry_run;
} CleanArguments;

typedef struct MountArguments {
        char *path;
        bool read_only;
} MountArguments;

typedef struct UnmountArguments {
        char *where; /* a path, or the name of an image */
} UnmountArguments;

/* Several changes in this order: read-only, limit, name */
typedef struct UpdateImageArguments {
        char *new_name;
        int read_only;  /* 1 for yes, -1 for no, 0 for no change */
        uint64_t limit; /* 0 for no change */
} UpdateImageArguments;

extern const Operation operation_clone_image, operation_rename_image, operation_remove_image;
extern const Operation operation_mark_image, operation_limit_image, operation_enable_quotas;
extern const Operation operation_snapshot_image, operation_roll_back_image, operation_rename_snapshot,
        operation_remove_snapshot, operation_diff_image;
extern const Operation operation_replace_image, operation_revert_image;
extern const Operation operation_update_image;
extern const Operation operation_clean_images;
extern const Operation operation_mount_image, operation_unmount_image;
/* Is always refused: the store is a directory on the host's file system. */
extern const Operation operation_limit_pool;

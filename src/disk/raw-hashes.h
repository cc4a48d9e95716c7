/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "disk/raw.h"
#include "disk/verity.h"

/* Finds the hashes of the partitions of a disk, and the root hashes that are required. A part of raw.c. */

/* The partitions that belong to one role. */
typedef enum Part {
        PART_DATA,
        PART_HASHES,
        PART_SIGNATURE, /* of the root hash of PART_HASHES */
        _PART_MAX,
} Part;

/* The partitions of a disk by role. */
typedef struct Table {
        Partition partitions[_PARTITION_ROLE_MAX][_PART_MAX];
} Table;

typedef struct Wanted {
        const char *value;               /* as in RootHash= */
        char hash[ROOT_HASH_LENGTH + 1]; /* from the file beside the disk, or "" */
        char *signature;                 /* of `hash`, with `size` bytes, or NULL */
        size_t size;
} Wanted;

/* What RootHash= and the files beside the disk require of the root and of /usr. The caller clears the
 * struct, also after an error. */
typedef struct RawWanted {
        Wanted of[RAW_VERITY_MAX];
        char *real; /* path of the disk itself without .raw, or NULL if unknown */
} RawWanted;
int raw_find_wanted(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawWanted *ret,
                    char **ret_error);
void raw_wanted_clear(RawWanted *w);
#define _cleanup_raw_wanted_ _cleanup_(raw_wanted_clear)

/* Returns the required root hash, or NULL. */
const char *raw_wanted_hash(const RawWanted *w, PartitionRole role) _pure_;

/* Finds the hashes on the disk or beside it. */
int raw_find_hashes(int disk_fd, int dir_fd, const char *name, const Table *table, const RawWanted *wanted,
                    RawDisk *disk, char **ret_error);

/* Loads the module that verifies hashes. *ret_error is for the caller to free. */
int raw_load_verity(const VerityModule **ret, char **ret_error);

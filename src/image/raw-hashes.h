/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/raw.h"
#include "image/verity.h"

/* Which hashes the partitions of a disk have, and which they are to have: a part of raw.c. */

/* What a partition is of what has a role. */
typedef enum Part {
        PART_DATA,
        PART_HASHES,
        PART_SIGNATURE, /* of the root hash of these */
        _PART_MAX,
} Part;

/* What a disk has, by roles. */
typedef struct Table {
        Partition partitions[_PARTITION_ROLE_MAX][_PART_MAX];
} Table;

typedef struct Wanted {
        const char *value;               /* as RootHash= has it */
        char hash[ROOT_HASH_LENGTH + 1]; /* what stands beside the disk; "" for none */
        char *signature;                 /* of that, and how many bytes it has; NULL for none */
        size_t size;
} Wanted;

/* What the root and /usr are to be, by RootHash= and what stands beside the disk. After an error, too, it has to be freed. */
typedef struct RawWanted {
        Wanted of[RAW_VERITY_MAX];
        char *real; /* the path of the disk itself, without .raw; NULL where that is not known */
} RawWanted;
int raw_find_wanted(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawWanted *ret,
                    char **ret_error);
void raw_wanted_clear(RawWanted *w);
#define _cleanup_raw_wanted_ _cleanup_(raw_wanted_clear)

/* The root hash that is demanded, or NULL. */
const char *raw_wanted_hash(const RawWanted *w, PartitionRole role) _pure_;

/* Finds them on the disk, or beside it. */
int raw_find_hashes(int disk_fd, int dir_fd, const char *name, const Table *table, const RawWanted *wanted,
                    RawDisk *disk, char **ret_error);

/* What it takes to use them. */
int raw_load_verity(const VerityModule **ret, char **ret_error);

/* raw.c: makes the text of an error, and returns it; what a partition is called in errors, which the caller frees; how large a disk is, in bytes. */
int raw_fail(char **ret_error, int r, const char *format, ...) _printf_(3, 4);
char *raw_describe(const Partition *p);
int raw_size(int disk_fd, uint64_t *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"
#include "image/beside.h"

/* Disks in files: a bare file system, or partitions of GPT (the Discoverable Partitions Specification) or MBR. What is on a disk is its
 * maker's word, and the kernel's file systems are given it: so there is a list of those that are. */

#define RAW_UUID_LENGTH 32U

typedef enum PartitionRole {
        PARTITION_ROOT,
        PARTITION_USR,
        PARTITION_HOME,
        PARTITION_SRV,
        PARTITION_VAR,
        PARTITION_TMP,
        PARTITION_XBOOTLDR,
        PARTITION_ESP,
        _PARTITION_ROLE_MAX,
} PartitionRole;

typedef struct Partition {
        PartitionRole role;
        uint64_t offset, size;          /* bytes; size 0 where there is none */
        unsigned number;                /* 0 for a disk that has no partitions */
        char fs[16];                    /* as the kernel calls it */
        bool read_only;                 /* says its flag, or its file system can be nothing else */
        char uuid[RAW_UUID_LENGTH + 1]; /* without dashes; "" where partitions have none */
} Partition;

/* The hashes of a partition (dm-verity), and the one of them all, in hexadecimal: what it says is all that is read. */
typedef struct Verity {
        Partition hashes;
        int fd;                          /* what that is on: the disk, or the file beside it */
        char hash[ROOT_HASH_LENGTH + 1]; /* "" where there is none */
        bool required;                   /* where the kernel can't do it, it is not done without */
} Verity;

#define RAW_VERITY_MAX (PARTITION_USR + 1)

typedef struct RawDisk {
        Partition partitions[_PARTITION_ROLE_MAX];
        Verity verity[RAW_VERITY_MAX]; /* of the root and of /usr */
        int hashes_fd;                 /* of the file beside it; negative for none */
} RawDisk;

#define RAW_DISK_NONE ((RawDisk){ .hashes_fd = -EBADF })

/* Looks at a disk, and at what stands beside it by this name in the directory of that descriptor. `root_hash` is what RootHash= of mctl.machine(5)
 * can be, or NULL. -EUCLEAN and a text, which the caller frees, for one that no machine can run from; -EKEYREJECTED for one that was not signed as it is
 * to be. The caller closes the disk before its descriptor. */
int raw_dissect(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawDisk *ret,
                char **ret_error);
void raw_close(RawDisk *disk);
#define _cleanup_raw_disk_ _cleanup_(raw_close)

/* The same, but for what file systems there are. */
int raw_read_table(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawDisk *ret,
                   char **ret_error);

/* Reads all that has hashes, and compares. -EUCLEAN and a text, which the caller frees, where it is something else. */
int raw_check_hashes(int disk_fd, const RawDisk *disk, char **ret_error);

/* Mounts the partitions of a disk on a directory of the caller's mount namespace. Those that have no directory in the root are left
 * out. Returns a descriptor of the root; errors have a text, which the caller frees. */
int raw_attach(int disk_fd, const RawDisk *disk, bool read_only, int target_fd, char **ret_error);

/* Whether nobody else has the disk attached in a way that ours cannot be beside: -EBUSY where somebody writes to it, or reads it and we
 * want to write. Who looks has to keep others from starting meanwhile. */
int raw_check_idle(int disk_fd, bool read_only, char **ret_error);

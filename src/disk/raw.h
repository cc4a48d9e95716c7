/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"
#include "disk/hash-file.h"

/* Disks in files: a file system, or partitions in a GPT (Discoverable Partitions Specification) or an MBR.
 * The maker of a disk controls its content, and the file systems of the kernel parse it. So only the file
 * systems of a list are mounted. */

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
        uint64_t offset, size; /* in bytes; size 0 if the partition is missing */
        unsigned number;       /* 0 for a disk without partitions */
        char fs[16];           /* the kernel's name for it */
        bool read_only; /* by the flag of the partition, or because its file system cannot be written */
        char uuid[RAW_UUID_LENGTH + 1]; /* without dashes, or "" if the partition has none */
} Partition;

/* The hashes of a partition (dm-verity), and their root hash in hexadecimal. Only data that match the root
 * hash can be read. */
typedef struct Verity {
        Partition hashes;
        int fd;                          /* of the disk, or of the file beside it, that has the hashes */
        char hash[ROOT_HASH_LENGTH + 1]; /* the root hash, or "" */
        bool required;                   /* the partition is not used if the kernel cannot verify it */
} Verity;

#define RAW_VERITY_MAX (PARTITION_USR + 1)

typedef struct RawDisk {
        Partition partitions[_PARTITION_ROLE_MAX];
        Verity verity[RAW_VERITY_MAX]; /* for PARTITION_ROOT and PARTITION_USR */
        int hashes_fd;                 /* of the file NAME.verity beside the disk, or negative */
} RawDisk;

#define RAW_DISK_NONE ((RawDisk){ .hashes_fd = -EBADF })

/* Reads the partitions and file systems of a disk, and the files for `name` beside it in the directory
 * dir_fd. `root_hash` is a value of RootHash= in mctl.machine(5), or NULL. -EUCLEAN if no machine can run
 * from the disk, -EKEYREJECTED if the required signature is missing; the caller frees the text. The caller
 * closes the RawDisk before disk_fd. */
int raw_dissect(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawDisk *ret,
                char **ret_error);
void raw_close(RawDisk *disk);
#define _cleanup_raw_disk_ _cleanup_(raw_close)

/* raw_dissect() without a look at the file systems. */
int raw_read_table(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawDisk *ret,
                   char **ret_error);

/* Reads all partitions that have hashes, and compares. -EUCLEAN if the data do not match; the caller frees
 * the text. */
int raw_check_hashes(int disk_fd, const RawDisk *disk, char **ret_error);

/* Mounts the partitions of a disk on a directory in the caller's mount namespace. A partition whose
 * directory is missing in the root is left out. Returns a descriptor of the root. Errors have a text, which
 * the caller frees. */
int raw_attach(int disk_fd, const RawDisk *disk, bool read_only, int target_fd, char **ret_error);

/* Checks that the disk is not attached elsewhere in a conflicting way. -EBUSY if the disk is attached
 * writable, or if it is attached at all and `read_only` is false. The caller must prevent new users of the
 * disk meanwhile. */
int raw_check_idle(int disk_fd, bool read_only, char **ret_error);

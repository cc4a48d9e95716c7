/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is on a disk: partition tables and superblocks, at the places where they are looked for. The first
 * byte says how large the disk is; each piece of the rest has a place in front of it. */

#include <sys/mman.h>
#include <unistd.h>

#include "disk/raw.h"

#define PIECE 512U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const off_t places[] = { 0, 512, 1024, 0x8000, 0x10000, 1 << 20, 0x4000, 4096, 0x5000 };
        _cleanup_free_ char *error = NULL;
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        if (size < 1)
                return 0;
        _cleanup_close_ int fd = memfd_create("disk", MFD_CLOEXEC);
        off_t total = (off_t) (data[0] + 1) << 16;
        if (fd < 0 || ftruncate(fd, total) < 0)
                abort();
        for (size_t at = 1; at + 1 < size; at += PIECE + 1) {
                size_t n = MIN(size - at - 1, PIECE);
                if (pwrite(fd, data + at + 1, n, places[data[at] % ELEMENTSOF(places)]) < 0)
                        abort();
        }
        if (raw_dissect(fd, AT_FDCWD, "/nothere/disk", NULL, &disk, &error) >= 0)
                for (PartitionRole role = 0; role < _PARTITION_ROLE_MAX; role++) {
                        const Partition *p = disk.partitions + role;
                        off_t end = MAX(total, lseek(fd, 0, SEEK_END));
                        if (p->size > 0 && (p->offset > (uint64_t) end ||
                                            p->size > (uint64_t) end - p->offset || !p->fs[0]))
                                abort();
                }
        return 0;
}

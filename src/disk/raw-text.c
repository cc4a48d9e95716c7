/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/raw-text.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

const char *raw_role_path(PartitionRole role)
{
        static const char *const paths[_PARTITION_ROLE_MAX] = {
                [PARTITION_ROOT] = "/",         [PARTITION_USR] = "/usr", [PARTITION_HOME] = "/home",
                [PARTITION_SRV] = "/srv",       [PARTITION_VAR] = "/var", [PARTITION_TMP] = "/var/tmp",
                [PARTITION_XBOOTLDR] = "/boot", [PARTITION_ESP] = "/efi",
        };

        return paths[role];
}

char *raw_describe(const Partition *p)
{
        if (p->number == 0)
                return strdup("The disk");
        return strf("Partition %u (%s)", p->number,
                    p->role == PARTITION_ROOT ? "the root" : raw_role_path(p->role));
}

int raw_size(int disk_fd, uint64_t *ret)
{
        struct stat st;

        if (fstat(disk_fd, &st) < 0)
                return -errno;
        *ret = (uint64_t) st.st_size;
        return S_ISBLK(st.st_mode) ? RET_NERRNO(ioctl(disk_fd, BLKGETSIZE64, ret)) : 0;
}

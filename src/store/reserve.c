/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/reserve.h"

#include <sys/statvfs.h>

#include "basic/fd.h"

#define RESERVE      ".#mctl.reserve"
#define RESERVE_SIZE (256 * 1024)
#define ROOM_MIN     (64ULL * RESERVE_SIZE)

void reserve_keep(int store_fd)
{
        struct statvfs fs;

        /* On a nearly full file system, freed space is for the operation that needed it. */
        if (fstatvfs(store_fd, &fs) < 0 || fs.f_bavail * fs.f_frsize < ROOM_MIN)
                return;
        if (faccessat(store_fd, RESERVE, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return;
        _cleanup_close_ int fd = openat(store_fd, RESERVE,
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 && fallocate(fd, 0, 0, RESERVE_SIZE) < 0)
                (void) unlinkat(store_fd, RESERVE, 0);
}

int reserve_use(const char *store)
{
        _cleanup_close_ int store_fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (store_fd < 0 || unlinkat(store_fd, RESERVE, 0) < 0)
                return -errno;
        return RET_NERRNO(syncfs(store_fd));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An archive that somebody imports. Whatever is in it, nothing is made beside the tree that it is unpacked
 * into. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "basic/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count(int dir_fd)
{
        _cleanup_(closedir_cleanup)
                DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        unsigned n = 0;

        while (dir && readdir(dir))
                n++;
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char path[] = "/dev/shm/fuzz-archive-XXXXXX";
        static int dir_fd = -1;
        ArchiveJob job = {};

        if (dir_fd < 0 && (!mkdtemp(path) || (dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0))
                abort();
        _cleanup_close_ int fd = memfd_create("archive", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size || lseek(fd, 0, SEEK_SET) < 0 ||
            mkdirat(dir_fd, "tree", 0700) < 0)
                abort();
        _cleanup_close_ int tree_fd = openat(dir_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void) archive_unpack(&job, fd, tree_fd);
        if (count(dir_fd) != 3 || tree_remove(dir_fd, "tree") < 0)
                abort();
        return 0;
}

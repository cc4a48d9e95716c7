/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/beside.h"

#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/str.h"
#include "basic/tree.h"

/* The index of a suffix is the number of its bit in Beside. */
static const char *const suffixes[] = {
        ".nspawn", ".roothash", ".roothash.p7s", ".usrhash", ".usrhash.p7s", ".verity",
};
_Static_assert(BESIDE_ALL == (1U << ELEMENTSOF(suffixes)) - 1, "A bit for each");

bool beside_is(const char *file)
{
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (endswith(file, suffixes[i]))
                        return true;
        return false;
}

/* A .nspawn that is no regular file is ignored. For every other suffix, such a file is an error: a copy
 * without its root hash would not be verified any more. */
static int open_one(int dir_fd, const char *file)
{
        _cleanup_close_ int fd = openat(dir_fd, file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENAMETOOLONG ? -ENOENT : -errno;
        return S_ISREG(st.st_mode)         ? TAKE_FD(fd)
               : endswith(file, ".nspawn") ? -ENOENT
               : S_ISLNK(st.st_mode)       ? -ELOOP
                                           : -EUCLEAN;
}

static int copy_one(int dir_fd, int fd, const char *new_file)
{
        TreeCopy copy = TREE_COPY_ALL;
        int r = tree_copy(&copy, fd, dir_fd, new_file);

        if (r < 0)
                return r;
        _cleanup_close_ int new_fd = openat(dir_fd, new_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        return new_fd < 0 || fsync(new_fd) < 0 ? -errno : 0;
}

static int give(int dir_fd, const char *name, const char *new_name, Beside which, bool by_link, Beside *ret)
{
        *ret = 0;
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                if (!(which & 1U << i))
                        continue;
                _cleanup_free_ char *file = strf("%s%s", name, suffixes[i]),
                                    *new_file = strf("%s%s", new_name, suffixes[i]);
                OOM_CHECK(file);
                OOM_CHECK(new_file);
                _cleanup_close_ int fd = open_one(dir_fd, file);
                int r = fd < 0    ? fd
                        : by_link ? RET_NERRNO(linkat(dir_fd, file, dir_fd, new_file, 0))
                                  : copy_one(dir_fd, fd, new_file);
                if (r >= 0)
                        *ret |= 1U << i;
                else if (r != -ENOENT && r != -EEXIST)
                        return r;
        }
        return 0;
}

int beside_copy(int dir_fd, const char *name, const char *new_name, Beside which, Beside *ret)
{
        return give(dir_fd, name, new_name, which, false, ret);
}

int beside_link(int dir_fd, const char *name, const char *new_name, Beside which, Beside *ret)
{
        return give(dir_fd, name, new_name, which, true, ret);
}

void beside_remove(int dir_fd, const char *name, Beside which)
{
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *file = strf("%s%s", name, suffixes[i]);
                if (file && (which & 1U << i))
                        (void) unlinkat(dir_fd, file, 0);
        }
}

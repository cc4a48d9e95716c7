/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/beside.h"

#include <ctype.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/str.h"
#include "basic/tree.h"
#include "spec/spec.h"

#define SIGNATURE_MAX (64U * 1024U)

/* By their bits. */
static const char *const suffixes[] = {
        ".nspawn", ".roothash", ".roothash.p7s", ".usrhash", ".usrhash.p7s", ".verity",
};
_Static_assert(BESIDE_ALL == (1U << ELEMENTSOF(suffixes)) - 1, "A bit for each");

/* --- what is in them ------------------------------------------------------------------------------------------------ */

int beside_read_hash(int dir_fd, const char *name, const char *kind, char ret[static ROOT_HASH_LENGTH + 1])
{
        _cleanup_free_ char *file = strf("%s.%s", name, kind), *text = NULL;
        size_t size;

        OOM_CHECK(file);
        int r = file_read_at(dir_fd, file, ROOT_HASH_LENGTH + 1, &text, &size);
        if (r == -ENOENT || r == -ENAMETOOLONG)
                return 0;
        if (r < 0)
                return r == -EFBIG ? -EUCLEAN : r;
        if (size > 0 && text[size - 1] == '\n')
                text[--size] = 0;
        if (strlen(text) != size || !root_hash_is_hex(text))
                return -EUCLEAN;
        for (size_t i = 0; i <= strlen(text); i++)
                ret[i] = (char) tolower(text[i]);
        return 1;
}

int beside_read_signature(int dir_fd, const char *name, const char *kind, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *file = strf("%s.%s.p7s", name, kind);

        OOM_CHECK(file);
        int r = file_read_at(dir_fd, file, SIGNATURE_MAX, ret, ret_size);
        return r == -ENOENT || r == -ENAMETOOLONG ? 0 : r < 0 ? r : 1;
}

int beside_open_hashes(int dir_fd, const char *name)
{
        _cleanup_free_ char *file = strf("%s.verity", name);
        struct stat st;

        OOM_CHECK(file);
        _cleanup_close_ int fd = openat(dir_fd, file,
                                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENAMETOOLONG ? -ENOENT : -errno;
        return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -EUCLEAN;
}

bool beside_is(const char *file)
{
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (endswith(file, suffixes[i]))
                        return true;
        return false;
}

/* --- where they go -------------------------------------------------------------------------------------------------- */

/* Of what cannot be read nothing is known: it is no root hash, and is not lost. */
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/hash-file.h"

#include <ctype.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/str.h"

#define SIGNATURE_MAX (64U * 1024U)

int hash_file_read(int dir_fd, const char *name, const char *kind, char ret[static ROOT_HASH_LENGTH + 1])
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

int hash_file_read_signature(int dir_fd, const char *name, const char *kind, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *file = strf("%s.%s.p7s", name, kind);

        OOM_CHECK(file);
        int r = file_read_at(dir_fd, file, SIGNATURE_MAX, ret, ret_size);
        return r == -ENOENT || r == -ENAMETOOLONG ? 0 : r < 0 ? r : 1;
}

int hash_file_open_tree(int dir_fd, const char *name)
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

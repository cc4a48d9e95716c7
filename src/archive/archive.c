/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "archive/archive.h"

static const struct {
        const char *name; /* in import1 */
        const char *suffixes[3];
} formats[_ARCHIVE_FORMAT_MAX] = {
        [ARCHIVE_TAR] = { "uncompressed", { ".tar" } },
        [ARCHIVE_TAR_GZIP] = { "gzip", { ".tar.gz", ".tgz" } },
        [ARCHIVE_TAR_XZ] = { "xz", { ".tar.xz", ".txz" } },
        [ARCHIVE_TAR_ZSTD] = { "zstd", { ".tar.zst", ".tzst" } },
        [ARCHIVE_TAR_BZIP2] = { "bzip2", { ".tar.bz2", ".tbz2" } },
};

int archive_format_from_string(const char *s)
{
        for (int i = 0; i < _ARCHIVE_FORMAT_MAX; i++)
                if (streq(formats[i].name, s))
                        return i;
        return -EINVAL;
}

int archive_format_from_name(const char *name)
{
        for (int i = 0; i < _ARCHIVE_FORMAT_MAX; i++)
                for (size_t k = 0; k < ELEMENTSOF(formats[i].suffixes) && formats[i].suffixes[k]; k++)
                        if (endswith(name, formats[i].suffixes[k]))
                                return i;
        return -EINVAL;
}

bool archive_wants_xattr(const char *name)
{
        return (startswith(name, "user.") && !startswith(name, "user.overlay.")) ||
               streq(name, "security.capability");
}

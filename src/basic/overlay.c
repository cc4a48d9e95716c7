/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/overlay.h"

#include <errno.h>
#include <sys/mount.h>

#include "basic/fd.h"

/* Newer kernels (6.5) take one layer after the other; a string of all of them has at most 255 characters. */
int overlay_add_lowers(int fs_fd, const Strv paths)
{
        _cleanup_free_ char *all = NULL;
        int r = 0;

        for (size_t i = 0; paths[i] && r >= 0; i++)
                r = RET_NERRNO(fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir+", paths[i], 0));
        if (r != -EINVAL)
                return r;
        all = strv_join(paths, ":");
        OOM_CHECK(all);
        return RET_NERRNO(fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir", all, 0));
}

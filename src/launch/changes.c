/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch/changes.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/tree.h"

/* The directory is in the store, which has the space for images. No image can have this name. */
#define CHANGES ".#mctl.changes"
#define MARKER  "reboot"

static int make(int dir_fd, uid_t base)
{
        if (mkdirat(dir_fd, "upper", 0755) < 0 || mkdirat(dir_fd, "work", 0700) < 0 ||
            fchownat(dir_fd, "upper", base, base, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

/* After a change of the range of IDs, the files would belong to nobody. */
static bool is_kept(int dir_fd, int machine_fd, uid_t base)
{
        struct stat st;

        return unlinkat(machine_fd, MARKER, 0) >= 0 &&
               fstatat(dir_fd, "upper", &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISDIR(st.st_mode) &&
               st.st_uid == base;
}

int changes_open(const Scope *scope, const char *unit, int machine_fd, uid_t base)
{
        int r;

        _cleanup_free_ char *path = scope_store_path(scope, CHANGES);
        OOM_CHECK(path);
        _cleanup_close_ int parent_fd = dir_open_or_make_at(AT_FDCWD, path, 0700);
        if (parent_fd < 0)
                return parent_fd;
        _cleanup_close_ int old_fd = dir_open_at(parent_fd, unit);
        if (old_fd >= 0 && is_kept(old_fd, machine_fd, base))
                return TAKE_FD(old_fd);
        r = tree_remove(parent_fd, unit);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = dir_open_or_make_at(parent_fd, unit, 0700);
        r = fd < 0 ? fd : make(fd, base);
        return r < 0 ? r : TAKE_FD(fd);
}

/* The kernel reports a reboot as death by SIGHUP, which systemd passes to ExecStopPost=. */
static bool is_reboot(void)
{
        const char *code = getenv("EXIT_CODE"), *status = getenv("EXIT_STATUS");

        return streq_ptr(code, "killed") && streq_ptr(status, "HUP");
}

int changes_end(const Scope *scope, const char *unit, int machine_fd)
{
        _cleanup_free_ char *path = scope_store_path(scope, CHANGES);
        OOM_CHECK(path);
        _cleanup_close_ int parent_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (faccessat(parent_fd, unit, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (!is_reboot())
                return tree_remove(parent_fd, unit);
        _cleanup_close_ int marker_fd = openat(machine_fd, MARKER,
                                               O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        return marker_fd < 0 ? -errno : 0;
}

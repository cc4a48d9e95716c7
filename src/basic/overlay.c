/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "basic/fd.h"

/* With its NUL, and there is no second one: the last counts. */
#define STRING_MAX 256U

/* Whether one layer can be given after the other (Linux 6.7). Before 6.5 any option is taken, and what has one that is not
 * known cannot be made. */
static bool takes_each(void)
{
        _cleanup_close_ int fd = fsopen("overlay", FSOPEN_CLOEXEC);

        return fd >= 0 && fsconfig(fd, FSCONFIG_SET_FLAG, "mctl", NULL, 0) < 0 &&
               fsconfig(fd, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) >= 0;
}

unsigned overlay_layers_max(void)
{
        return takes_each() ? OVERLAY_LAYERS_MAX : OVERLAY_LAYERS_OLD_MAX;
}

/* All but the first by their numbers, from the directory of descriptors. */
static int name_by_numbers(const Strv paths, OverlayLowers *lowers, char **ret)
{
        _cleanup_strv_ Strv names = NULL;
        int r;

        lowers->back_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = lowers->back_fd < 0 ? -errno : strv_append(&names, paths[0]);
        for (size_t i = 1; paths[i] && r >= 0; i++) {
                int fd = lowers->n_fds == ELEMENTSOF(lowers->fds)
                                 ? -E2BIG
                                 : RET_NERRNO(open(paths[i], O_PATH | O_DIRECTORY | O_CLOEXEC));
                if (fd >= 0)
                        lowers->fds[lowers->n_fds++] = fd;
                r = fd < 0 ? fd : strv_appendf(&names, "%i", fd);
        }
        if (r >= 0)
                r = RET_NERRNO(chdir("/proc/self/fd"));
        if (r < 0)
                return r;
        *ret = strv_join(names, ":");
        return *ret ? 0 : -ENOMEM;
}

/* Whether n paths can be given as what they are together. */
static bool fits(const char *all, size_t n)
{
        size_t colons = 0;

        for (const char *p = all; (p = strchr(p, ':')); p++)
                colons++;
        return strlen(all) < STRING_MAX && colons == n - 1 && !strchr(all, '\\');
}

int overlay_add_lowers(int fs_fd, const Strv paths, OverlayLowers *lowers)
{
        _cleanup_free_ char *all = strv_join(paths, ":");
        int r = 0;

        OOM_CHECK(all);
        if (!fits(all, strv_length(paths))) {
                if (takes_each()) {
                        for (size_t i = 0; paths[i] && r >= 0; i++)
                                r = RET_NERRNO(
                                        fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir+", paths[i], 0));
                        return r;
                }
                free(all);
                all = NULL;
                r = name_by_numbers(paths, lowers, &all);
                if (r >= 0 && strlen(all) >= STRING_MAX)
                        r = -E2BIG;
        }
        return r < 0 ? r : RET_NERRNO(fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir", all, 0));
}

void overlay_lowers_clear(OverlayLowers *lowers)
{
        int r = lowers->back_fd < 0 ? 0 : fchdir(lowers->back_fd);

        (void) r; /* there is no other way */
        while (lowers->n_fds > 0)
                fd_close(lowers->fds[--lowers->n_fds]);
        lowers->back_fd = fd_close(lowers->back_fd);
}

int overlay_mount(int fs_fd, unsigned attr, bool writable)
{
        struct statvfs fs;

        _cleanup_close_ int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, attr);
        if (fd < 0 || fstatvfs(fd, &fs) < 0)
                return -errno;
        if (!writable || !(fs.f_flag & ST_RDONLY))
                return TAKE_FD(fd);
        return fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_favail == 0) ? -ENOSPC : -EROFS;
}

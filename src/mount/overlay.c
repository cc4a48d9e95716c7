/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"

/* Size limit of an option's value, with its NUL. Several values cannot be combined: the last one counts. */
#define STRING_MAX 256U

/* Whether layers can be added one by one (Linux 6.7). Before 6.5, overlayfs takes any option, and fails when
 * the file system is created. So the unknown option "mctl" must fail here first. */
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

/* State until the overlay is created. If the paths are too long, the working directory is changed
 * meanwhile. */
typedef struct OverlayLowers {
        int back_fd;
        int fds[OVERLAY_LAYERS_MAX];
        size_t n_fds;
} OverlayLowers;

/* Changes the working directory to /proc/self/fd, and names all layers but the first by the numbers of their
 * descriptors. */
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

/* Whether n paths, joined by colons, can be the value of "lowerdir". */
static bool fits(const char *all, size_t n)
{
        size_t colons = 0;

        for (const char *p = all; (p = strchr(p, ':')); p++)
                colons++;
        return strlen(all) < STRING_MAX && colons == n - 1 && !strchr(all, '\\');
}

/* Sets the lower layers of an overlay. */
static int add_lowers(FsContext *fs, const Strv paths, OverlayLowers *lowers)
{
        _cleanup_free_ char *all = strv_join(paths, ":");
        int r;

        OOM_CHECK(all);
        if (!fits(all, strv_length(paths)) && takes_each()) {
                STRV_FOREACH (path, paths)
                        fs_context_set(fs, "lowerdir+", *path);
                return fs->r;
        }
        if (!fits(all, strv_length(paths))) {
                free(all);
                all = NULL;
                r = name_by_numbers(paths, lowers, &all);
                if (r < 0)
                        return r;
                if (strlen(all) >= STRING_MAX)
                        return -E2BIG;
        }
        fs_context_set(fs, "lowerdir", all);
        return fs->r;
}

/* Restores the working directory. */
static void lowers_clear(OverlayLowers *lowers)
{
        int r = lowers->back_fd < 0 ? 0 : fchdir(lowers->back_fd);

        (void) r; /* nothing else can be done */
        while (lowers->n_fds > 0)
                fd_close(lowers->fds[--lowers->n_fds]);
        lowers->back_fd = fd_close(lowers->back_fd);
}

static int mount_it(FsContext *fs, const Overlay *o)
{
        struct statvfs st;

        _cleanup_close_ int fd = fs_context_mount(fs, o->attr);
        if (fd < 0)
                return fd;
        if (fstatvfs(fd, &st) < 0)
                return -errno;
        if (!o->upper || !(st.f_flag & ST_RDONLY))
                return TAKE_FD(fd);
        return st.f_bavail == 0 || (st.f_files > 0 && st.f_favail == 0) ? -ENOSPC : -EROFS;
}

int overlay_make(const Overlay *o)
{
        _cleanup_(lowers_clear) OverlayLowers lowers = { .back_fd = -EBADF };
        _cleanup_fs_context_ FsContext fs = fs_context_open("overlay");
        int r;

        if (fs.r < 0)
                return fs.r;
        r = add_lowers(&fs, o->lower, &lowers);
        if (r < 0)
                return log_debug_errno(r, "Failed to name the %zu layers of an overlay",
                                       strv_length(o->lower));
        if (o->upper) {
                fs_context_set(&fs, "upperdir", o->upper);
                fs_context_set(&fs, "workdir", o->work);
        }
        r = fs.r < 0 ? fs.r : o->create ? o->create(&fs, o->userdata) : fs_context_create(&fs);
        if (r < 0) {
                _cleanup_free_ char *why = fs_context_error(&fs);
                log_debug("Failed to make an overlay of %zu layers: %s", strv_length(o->lower), strna(why));
                return r;
        }
        return mount_it(&fs, o);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "api/confine.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/str.h"
#include "mount/tree.h"
#include "sandbox/filter.h"

#define WRITABLE_MAX 16U

typedef struct Writable {
        int target_fd; /* the directory that stays writable */
        int tree_fd;   /* a writable copy of its mount, to be attached there */
} Writable;

/* Opens the directories of a list. Returns the number of directories whose descriptors are open, also after
 * an error. */
static size_t open_writable(char *paths, Writable *writable, int *ret_error)
{
        size_t n = 0;

        *ret_error = 0;
        for (char *state, *path = strtok_r(paths, ":", &state); path && *ret_error == 0;
             path = strtok_r(NULL, ":", &state)) {
                if (n == WRITABLE_MAX) {
                        *ret_error = -E2BIG;
                        break;
                }
                Writable *w = writable + n++;
                w->tree_fd = mount_clone(AT_FDCWD, path);
                w->target_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
                *ret_error = w->target_fd < 0 ? -errno : w->tree_fd < 0 ? w->tree_fd : 0;
        }
        return n;
}

/* Mounts that the host makes later appear in the namespace, too. */
static int make_read_only(char *writable_paths)
{
        Writable writable[WRITABLE_MAX];
        int r;

        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        r = mount_change(root_fd, 0, MS_SLAVE, -EBADF);
        if (r < 0)
                return r;
        size_t n = open_writable(writable_paths, writable, &r);
        if (r >= 0)
                r = mount_change(root_fd, MOUNT_ATTR_RDONLY, 0, -EBADF);
        for (size_t i = 0; i < n; i++) {
                if (r >= 0)
                        r = mount_attach(writable[i].tree_fd, writable[i].target_fd);
                fd_close(writable[i].tree_fd);
                fd_close(writable[i].target_fd);
        }
        return r;
}

int confine(const char *writable)
{
        int r = 0;

        if (writable) {
                _cleanup_free_ char *paths = strdup(writable);
                OOM_CHECK(paths);
                r = make_read_only(paths);
                if (r < 0)
                        return log_debug_errno(r, "Failed to make file systems read-only but for '%s'",
                                               writable);
        }
        r = filter_load_shipped("registryd");
        return r < 0 ? log_debug_errno(r, "Failed to load the system call filter of the registry") : 0;
}

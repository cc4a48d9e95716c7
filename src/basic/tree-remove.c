/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/random.h"
#include "basic/str.h"
#include "basic/syscalls.h"
#include "basic/tree.h"

#define DEPTH_MAX 512U

/* Each level of directories takes a descriptor, so the depth is limited. A directory that is deeper is moved
 * to top_fd under a hidden name, and removed from there later. */
typedef struct Removal {
        int top_fd;
        Strv moved;
        char *failed; /* the path of the first thing that stays, as far as it is known yet */
} Removal;

static int remove_children(Removal *removal, int dir_fd, unsigned depth);

static int move_up(Removal *removal, int parent_fd, const char *name)
{
        _cleanup_free_ char *hidden = strf(TREE_HIDDEN "%016" PRIx64, random_u64());

        OOM_CHECK(hidden);
        if (renameat2(parent_fd, name, removal->top_fd, hidden, RENAME_NOREPLACE) < 0)
                return -errno;
        return strv_consume(&removal->moved, TAKE_PTR(hidden));
}

/* Lifts the immutable and append-only flags (chattr(1)) of a file, or of the directory itself for ".". */
static void lift_flags(int dir_fd, const char *name)
{
        _cleanup_close_ int fd = openat(dir_fd, name,
                                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        int flags;

        if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) >= 0 &&
            (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
                flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
                (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
        }
}

static int unlink_one(int parent_fd, const char *name, int flags)
{
        if (unlinkat(parent_fd, name, flags) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EPERM)
                return -errno;
        lift_flags(parent_fd, ".");
        lift_flags(parent_fd, name);
        return unlinkat(parent_fd, name, flags) >= 0 || errno == ENOENT ? 0 : -errno;
}

/* Prefixes the path of the file that failed with the name of its directory. */
static int fail(Removal *removal, int r, const char *name)
{
        char *path = removal->failed ? strf("%s/%s", name, removal->failed) : strdup(name);

        free(removal->failed);
        removal->failed = path;
        return r;
}

/* Mounts in the tree are not entered: -EXDEV. */
static int remove_one(Removal *removal, int parent_fd, const char *name, unsigned depth)
{
        const struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV,
        };
        int r = unlink_one(parent_fd, name, 0);

        if (r != -EISDIR)
                return r < 0 ? fail(removal, r, name) : 0;
        if (depth == 0)
                return move_up(removal, parent_fd, name);
        _cleanup_close_ int fd = sys_openat2(parent_fd, name, &how);
        r = fd < 0 ? -errno : remove_children(removal, fd, depth - 1);
        if (r >= 0)
                r = unlink_one(parent_fd, name, AT_REMOVEDIR);
        return r < 0 ? fail(removal, r, name) : 0;
}

/* All that can be. */
static int remove_children(Removal *removal, int dir_fd, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_free_ char *failed = NULL;
        int result = 0, fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; (errno = 0, e = readdir(dir));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                int r = remove_one(removal, dir_fd, e->d_name, depth);
                if (r >= 0)
                        continue;
                /* The first one is told of. */
                if (result == 0) {
                        result = r;
                        failed = TAKE_PTR(removal->failed);
                }
                free(TAKE_PTR(removal->failed));
        }
        int r = -errno;
        removal->failed = TAKE_PTR(failed);
        return result < 0 ? result : r;
}

int tree_remove_all(int parent_fd, const char *name, char **ret_failed)
{
        Removal removal = { .top_fd = parent_fd };
        int r = remove_one(&removal, parent_fd, name, DEPTH_MAX);

        for (size_t i = 0; i < strv_length(removal.moved); i++) {
                int q = remove_one(&removal, parent_fd, removal.moved[i], DEPTH_MAX);
                r = r < 0 ? r : q;
        }
        strv_free(removal.moved);
        if (ret_failed && r < 0)
                *ret_failed = TAKE_PTR(removal.failed);
        free(removal.failed);
        return r;
}

int tree_remove(int parent_fd, const char *name)
{
        return tree_remove_all(parent_fd, name, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <sys/stat.h>

#include "basic/random.h"
#include "basic/str.h"
#include "basic/syscalls.h"
#include "basic/tree.h"

#define DEPTH_MAX 512U

/* What is too deep to be reached with the descriptors that we have goes up, and is removed from there. */
typedef struct Removal {
        int top_fd;
        Strv moved;
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

/* What is mounted below is not of the tree. */
static int remove_one(Removal *removal, int parent_fd, const char *name, unsigned depth)
{
        const struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV,
        };

        if (unlinkat(parent_fd, name, 0) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR)
                return -errno;
        if (depth == 0)
                return move_up(removal, parent_fd, name);
        _cleanup_close_ int fd = sys_openat2(parent_fd, name, &how);
        int r = fd < 0 ? -errno : remove_children(removal, fd, depth - 1);
        return r < 0 ? r : unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_children(Removal *removal, int dir_fd, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = remove_one(removal, dir_fd, e->d_name, depth);
        return r < 0 ? r : -errno;
}

int tree_remove(int parent_fd, const char *name)
{
        Removal removal = { .top_fd = parent_fd };
        int r = remove_one(&removal, parent_fd, name, DEPTH_MAX);

        for (size_t i = 0; r >= 0 && i < strv_length(removal.moved); i++)
                r = remove_one(&removal, parent_fd, removal.moved[i], DEPTH_MAX);
        strv_free(removal.moved);
        return r;
}

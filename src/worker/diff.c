/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has changed since a snapshot: of a stack, what the layers above it have is looked at, in both trees; of all else, everything. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/rootfs.h"
#include "worker/snapshots.h"

#define PATHS_MAX 20000U
#define BYTES_MAX (1024U * 1024U) /* of an answer */
#define DEPTH_MAX 256U
#define OPAQUE    "trusted.overlay.opaque"

typedef struct Diff {
        int old_fd, new_fd; /* the trees */
        json_t *paths;      /* "A", "C" or "D" by path */
        size_t n_bytes;
} Diff;

static bool look(int root_fd, const char *path, struct stat *ret)
{
        _cleanup_close_ int fd = rootfs_open(root_fd, path, O_PATH | O_NOFOLLOW);

        return fd >= 0 && fstat(fd, ret) >= 0;
}

/* A directory that something was changed in is not changed itself; and a copy of a file, which has its time, is not another one. */
static bool is_same(const struct stat *a, const struct stat *b)
{
        return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
               a->st_rdev == b->st_rdev &&
               (S_ISDIR(a->st_mode) || (a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
                                        a->st_mtim.tv_nsec == b->st_mtim.tv_nsec));
}

static int compare(Diff *d, const char *path)
{
        _cleanup_free_ char *shown = str_escape(path);
        struct stat old, new;
        bool was = look(d->old_fd, path, &old), is = look(d->new_fd, path, &new);

        OOM_CHECK(shown);
        if ((!was && !is) || (was && is && is_same(&old, &new)))
                return 0;
        d->n_bytes += strlen(shown) + 10;
        if (json_object_size(d->paths) >= PATHS_MAX || d->n_bytes > BYTES_MAX)
                return -E2BIG;
        return json_object_set_new(d->paths, shown,
                                   json_string(!was  ? "A"
                                               : !is ? "D"
                                                     : "C")) < 0
                       ? -ENOMEM
                       : 0;
}

/* Looks at all that is in a directory of a layer, or of a tree. What is in one that the `other` tree has not is that, too, and not told. */
static int walk(Diff *d, int dir_fd, int other_fd, const char *path, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, fd = depth == 0 ? -1 : fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return depth == 0 ? -ELOOP : -errno;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                _cleanup_free_ char *own = strf("%s/%s", path, e->d_name);
                _cleanup_close_ int own_fd = openat(
                        dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
                OOM_CHECK(own);
                r = compare(d, own);
                if (r < 0 || own_fd < 0 || (other_fd >= 0 && !look(other_fd, own, &(struct stat){})))
                        continue;
                r = walk(d, own_fd, other_fd, own, depth - 1);
                /* It hides all that was there. */
                _cleanup_close_ int old_fd = r >= 0 && fgetxattr(own_fd, OPAQUE, NULL, 0) > 0
                                                     ? rootfs_open(d->old_fd, own,
                                                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                                                     : -EBADF;
                if (old_fd >= 0)
                        r = walk(d, old_fd, -EBADF, own, depth - 1);
        }
        return r;
}

/* The layers of one that the other does not have. */
static int walk_layers(Diff *d, int store_fd, const Layers *layers, const Strv others)
{
        int *fds, r;
        size_t n;

        r = layers_open(store_fd, layers, &fds, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; layers->ids && layers->ids[i] && r >= 0; i++) {
                if (strv_contains(others, layers->ids[i]))
                        continue;
                _cleanup_close_ int fd = dir_open_at(fds[i], "upper");
                r = fd < 0 ? fd : walk(d, fd, -EBADF, "", DEPTH_MAX);
        }
        layers_close(fds, n);
        return r;
}

static int walk_tree(Diff *d, int tree_fd, int other_fd)
{
        _cleanup_close_ int fd = rootfs_open(tree_fd, "/", O_RDONLY | O_DIRECTORY);

        return fd < 0 ? fd : walk(d, fd, other_fd, "", DEPTH_MAX);
}

/* Two trees that share their base differ in their layers alone. */
static int walk_all(Diff *d, int store_fd, const Layers *old, const Layers *new)
{
        int r;

        if (!old || !streq_ptr(old->base, new->base) || old->base_inode != new->base_inode) {
                r = walk_tree(d, d->new_fd, d->old_fd);
                return r < 0 ? r : walk_tree(d, d->old_fd, d->new_fd);
        }
        r = walk_layers(d, store_fd, new, old->ids);
        /* What was in a copy of a layer that was written to, and is not in that any more, left no mark. */
        return r < 0 ? r : walk_layers(d, store_fd, old, new->ids);
}

/* Without a snapshot: since a stack was made over what it is made over. */
static int find_old(const Subject *s, const char *name, Snapshot *ret, char **ret_error)
{
        size_t i;

        if (isempty(name) && s->stack.n_snapshots == 0 && s->type == IMAGE_STACK)
                return layers_copy(&ret->layers, &s->stack.layers, 1);
        int r = subject_find_snapshot(s, name, &i, ret_error);
        if (r < 0)
                return r;
        ret->name = strdup(s->stack.snapshots[i].name);
        OOM_CHECK(ret->name);
        return layers_copy(&ret->layers, &s->stack.snapshots[i].layers, 0);
}

static void snapshot_clear(Snapshot *snapshot)
{
        free(snapshot->name);
        layers_clear(&snapshot->layers);
}

int work_image_diff(const Request *request, char **ret_error)
{
        _cleanup_(snapshot_clear) Snapshot old = {};
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        int r;

        /* Where nobody sees what is mounted. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        r = subject_open(request_text(request, "name"), false, &s, ret_error);
        if (r >= 0)
                r = find_old(&s, request_text(request, "snapshot"), &old, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int old_fd = subject_open_tree(&s, &old);
        _cleanup_close_ int new_fd = old_fd < 0 ? old_fd : subject_open_tree(&s, NULL);
        if (new_fd < 0)
                return new_fd;
        s.lock_fd = fd_close(s.lock_fd); /* it may take its time */
        Diff d = { old_fd, new_fd, json_object(), 0 };
        r = walk_all(&d, s.store_fd, s.type == IMAGE_STACK ? &old.layers : NULL, &s.stack.layers);
        json_object_set_new(request->answer, "changes", d.paths);
        if (r == -E2BIG)
                return set_failure(ret_error, r, "There are too many changes to show.");
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has changed since a snapshot. If two stacks share their base, only the layers that one of them lacks
 * are walked, and each path there is looked up in both trees. All other trees are walked completely. */

#include <sched.h>
#include <search.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/rootfs.h"
#include "worker/diff.h"
#include "worker/snapshots.h"

#define PATHS_MAX 20000U
#define BYTES_MAX (1024U * 1024U) /* of an answer */
#define DEPTH_MAX 256U
#define OPAQUE    "trusted.overlay.opaque"

typedef struct Diff {
        int old_fd, new_fd; /* roots of the old and the new tree */
        DiffAnswer *answer;
        void *paths; /* the paths of the answer, for tsearch(3) */
        size_t n_bytes;
} Diff;

static bool look(int root_fd, const char *path, struct stat *ret)
{
        _cleanup_close_ int fd = rootfs_open(root_fd, path, O_PATH | O_NOFOLLOW);

        return fd >= 0 && fstat(fd, ret) >= 0;
}

/* The size and the times of directories do not count, since they change with the entries. A copy of a file
 * that has the size and modification time of the original counts as the same file. */
static bool is_same(const struct stat *a, const struct stat *b)
{
        return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
               a->st_rdev == b->st_rdev &&
               (S_ISDIR(a->st_mode) || (a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
                                        a->st_mtim.tv_nsec == b->st_mtim.tv_nsec));
}

static int compare_texts(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* Adds a path only once, even if several layers have it. */
static int add_change(Diff *d, const char *kind, const char *path)
{
        DiffAnswer *answer = d->answer;

        if (tfind(path, &d->paths, compare_texts))
                return 0;
        Difference *list = reallocarray(answer->changes, answer->n_changes + 1, sizeof(Difference));
        OOM_CHECK(list);
        answer->changes = list;
        list[answer->n_changes] = (Difference){ strdup(kind), strdup(path) };
        Difference *own = list + answer->n_changes++;
        return own->kind && own->path && tsearch(own->path, &d->paths, compare_texts) ? 0 : -ENOMEM;
}

static void keep(void *path)
{
        (void) path; /* owned by the answer */
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
        if (d->answer->n_changes >= PATHS_MAX || d->n_bytes > BYTES_MAX)
                return -E2BIG;
        return add_change(d, !was ? "A" : !is ? "D" : "C", shown);
}

/* Compares all entries of a directory of a layer or a tree. If other_fd is not negative, a directory that is
 * missing in the tree other_fd is a single change: its entries are not listed. */
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
                /* An opaque directory hides all entries of the directory in the layers below: list these,
                 * too. */
                _cleanup_close_ int old_fd = r >= 0 && fgetxattr(own_fd, OPAQUE, NULL, 0) > 0
                                                     ? rootfs_open(d->old_fd, own,
                                                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                                                     : -EBADF;
                if (old_fd >= 0)
                        r = walk(d, old_fd, -EBADF, own, depth - 1);
        }
        return r;
}

/* Walks the layers whose IDs are not in `others`. */
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

/* Two trees with the same base can differ only in their layers. */
static int walk_all(Diff *d, int store_fd, const Layers *old, const Layers *new)
{
        int r;

        if (!old || !streq_ptr(old->base, new->base) || old->base_inode != new->base_inode) {
                r = walk_tree(d, d->new_fd, d->old_fd);
                return r < 0 ? r : walk_tree(d, d->old_fd, d->new_fd);
        }
        r = walk_layers(d, store_fd, new, old->ids);
        /* The old layers must be walked as well. A snapshot of a running machine has a copy of the topmost
         * layer. If the machine has removed a file that only this layer had, the layer has no whiteout for
         * it. */
        return r < 0 ? r : walk_layers(d, store_fd, old, new->ids);
}

/* Without a name, and if a stack has no snapshots, the old tree is the stack without its topmost layer. */
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

int work_diff(const Job *job, char **ret_error)
{
        const SnapshotRequest *request = job->request;
        _cleanup_(snapshot_clear) Snapshot old = {};
        _cleanup_subject_ Subject s = SUBJECT_NONE;
        int r;

        /* The trees are mounted in a mount namespace of the worker. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        r = subject_open(job->scope, request->name, false, &s, ret_error);
        if (r >= 0)
                r = find_old(&s, request->snapshot, &old, ret_error);
        if (r < 0)
                return r;
        _cleanup_close_ int old_fd = subject_open_tree(&s, &old);
        _cleanup_close_ int new_fd = old_fd < 0 ? old_fd : subject_open_tree(&s, NULL);
        if (new_fd < 0)
                return new_fd;
        s.lock_fd = fd_close(s.lock_fd); /* the comparison may take long */
        Diff d = { old_fd, new_fd, job->answer, NULL, 0 };
        r = walk_all(&d, s.store_fd, s.type == IMAGE_STACK ? &old.layers : NULL, &s.stack.layers);
        tdestroy(d.paths, keep);
        if (r == -E2BIG)
                return set_failure(ret_error, r, "There are too many changes to show.");
        return r;
}

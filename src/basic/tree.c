/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/fsuid.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "basic/capability.h"
#include "basic/random.h"
#include "basic/str.h"
#include "basic/tree.h"

#define DEPTH_MAX   512U
#define NAME_BUFFER 32U
#define XATTRS_MAX  65536U
#define NOBODY      65534U
/* Files with more than one name of which another is still to come: each holds a descriptor. */
#define LINKED_MAX 4096U

typedef struct Linked {
        dev_t dev;
        ino_t ino;
        nlink_t left; /* names that we have not seen */
        int fd;       /* of the copy */
} Linked;

typedef struct Copier {
        TreeCopy *copy;
        Linked *linked;
        size_t n_linked;
} Copier;

static int fail(Copier *c, const char *name, int r)
{
        if (r < 0 && !c->copy->failed[0])
                snprintf(c->copy->failed, sizeof(c->copy->failed), "%s", name);
        return r;
}

/* --- owners and attributes ---------------------------------------------------------------------------------------- */

int tree_act_as(uid_t id)
{
        (void) setfsgid(id);
        (void) setfsuid(id);
        return id == 0 ? 0 : capability_raise();
}

/* Who is nobody on one side is nobody on the other. */
static uid_t map_id(const TreeCopy *copy, uid_t id)
{
        uint32_t inner = id < copy->from.base || id - copy->from.base >= copy->from.size
                                 ? NOBODY
                                 : id - copy->from.base;

        return copy->to.base + (inner < copy->to.size ? inner : NOBODY);
}

/* Owners come before modes: a change of owner takes set-user-ID bits away. `path` is the magic link of the target. */
static int copy_stat(const TreeCopy *copy, const struct stat *st, const char *path)
{
        const struct timespec times[] = { st->st_atim, st->st_mtim };
        bool device = S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode);
        mode_t mode = st->st_mode & (copy->distrust && !S_ISDIR(st->st_mode) ? 01777 : 07777);

        if (device && copy->distrust)
                mode = 0600;
        else if (chown(path, map_id(copy, st->st_uid), map_id(copy, st->st_gid)) < 0)
                return -errno;
        return chmod(path, mode) < 0 || utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

/* An access list in its form on disk and in system calls (acl(5)): a version, then entries of tag, permissions, ID. */
static void map_access_list(const TreeCopy *copy, uint8_t *list, size_t size)
{
        enum { TAG_USER = 0x02, TAG_GROUP = 0x08, HEAD = 4, ENTRY = 8 };

        for (size_t i = HEAD; i + ENTRY <= size; i += ENTRY) {
                uint16_t tag;
                uint32_t id;
                memcpy(&tag, list + i, sizeof(tag));
                memcpy(&id, list + i + 4, sizeof(id));
                if (le16toh(tag) != TAG_USER && le16toh(tag) != TAG_GROUP)
                        continue;
                id = htole32(map_id(copy, le32toh(id)));
                memcpy(list + i + 4, &id, sizeof(id));
        }
}

/* Those that mean something elsewhere. What overlayfs keeps for itself would mean something else there. */
static bool is_portable(const TreeCopy *copy, const char *name)
{
        if (streq(name, "security.capability"))
                return !copy->distrust;
        return startswith(name, "system.posix_acl_") ||
               (startswith(name, "user.") && !startswith(name, "user.overlay."));
}

static int copy_xattr(const TreeCopy *copy, int from_fd, int to_fd, const char *name)
{
        uint8_t value[XATTRS_MAX];
        ssize_t n = fgetxattr(from_fd, name, value, sizeof(value));

        if (n < 0)
                return errno == ENODATA ? 0 : -errno;
        if (startswith(name, "system."))
                map_access_list(copy, value, n);
        return fsetxattr(to_fd, name, value, n, 0) < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

static int copy_xattrs(const TreeCopy *copy, int from_fd, int to_fd)
{
        char names[XATTRS_MAX];
        ssize_t n = flistxattr(from_fd, names, sizeof(names));
        int r = 0;

        if (n < 0)
                return errno == EOPNOTSUPP ? 0 : -errno;
        for (const char *name = names; name < names + n && r >= 0; name += strlen(name) + 1)
                if (is_portable(copy, name))
                        r = copy_xattr(copy, from_fd, to_fd, name);
        return r;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int copy_range(int from_fd, int to_fd, off_t from, off_t to)
{
        bool by_range = true;

        for (off_t at = from; at < to;) {
                loff_t in = at, out = at;
                ssize_t n = by_range ? copy_file_range(from_fd, &in, to_fd, &out, to - at, 0) : -1;
                if (n < 0 && by_range && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
                        by_range = false;
                        continue;
                }
                if (!by_range && lseek(to_fd, at, SEEK_SET) >= 0)
                        n = sendfile(to_fd, from_fd, &in, to - at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0; /* it was cut meanwhile */
                at += n;
        }
        return 0;
}

/* Holes stay holes. */
static int copy_data(int from_fd, int to_fd, off_t size)
{
        if (ftruncate(to_fd, size) < 0)
                return -errno;
        for (off_t at = 0; at < size;) {
                off_t data = lseek(from_fd, at, SEEK_DATA), hole;
                if (data < 0)
                        return errno == ENXIO ? 0 : -errno; /* nothing but a hole */
                hole = lseek(from_fd, data, SEEK_HOLE);
                if (hole < 0)
                        return -errno;
                int r = copy_range(from_fd, to_fd, data, MIN(hole, size));
                if (r < 0)
                        return r;
                at = hole;
        }
        return 0;
}

static int copy_file(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];
        int r;

        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (from_fd < 0)
                return from_fd;
        _cleanup_close_ int to_fd = openat(parent_fd, name,
                                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to_fd < 0)
                return -errno;
        r = copy_data(from_fd, to_fd, st->st_size);
        if (r >= 0)
                r = copy_stat(c->copy, st, fd_path(to_fd, path));
        return r < 0 ? r : copy_xattrs(c->copy, from_fd, to_fd);
}

static int copy_link(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name)
{
        const struct timespec times[] = { st->st_atim, st->st_mtim };
        char target[PATH_MAX];
        ssize_t n = readlinkat(source_fd, "", target, sizeof(target) - 1);

        if (n < 0)
                return -errno;
        target[n] = 0;
        if (symlinkat(target, parent_fd, name) < 0 ||
            fchownat(parent_fd, name, map_id(c->copy, st->st_uid), map_id(c->copy, st->st_gid),
                     AT_SYMLINK_NOFOLLOW) < 0 ||
            utimensat(parent_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int copy_node(Copier *c, const struct stat *st, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];

        if (mknodat(parent_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0)
                return -errno;
        _cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : copy_stat(c->copy, st, fd_path(fd, path));
}

/* --- hard links --------------------------------------------------------------------------------------------------- */

static Linked *find_linked(Copier *c, const struct stat *st)
{
        for (size_t i = 0; i < c->n_linked; i++)
                if (c->linked[i].dev == st->st_dev && c->linked[i].ino == st->st_ino)
                        return c->linked + i;
        return NULL;
}

static int make_link(Copier *c, Linked *l, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];

        if (linkat(AT_FDCWD, fd_path(l->fd, path), parent_fd, name, AT_SYMLINK_FOLLOW) < 0)
                return -errno;
        if (--l->left == 0) {
                fd_close(l->fd);
                *l = c->linked[--c->n_linked];
        }
        return 0;
}

/* Remembers a copy whose other names are to come. Beyond the bound they are files of their own. */
static int remember(Copier *c, const struct stat *st, int parent_fd, const char *name)
{
        if (c->n_linked == LINKED_MAX)
                return 0;
        Linked *p = reallocarray(c->linked, c->n_linked + 1, sizeof(Linked));
        OOM_CHECK(p);
        c->linked = p;
        int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        p[c->n_linked++] = (Linked){ st->st_dev, st->st_ino, st->st_nlink - 1, fd };
        return 0;
}

/* --- directories -------------------------------------------------------------------------------------------------- */

/* Procfs and its like have nothing that could be copied. */
static bool shows_the_kernel(int fd)
{
        static const long magics[] = { PROC_SUPER_MAGIC,   SYSFS_MAGIC,   CGROUP2_SUPER_MAGIC,
                                       DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
                                       BPF_FS_MAGIC };
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(magics); i++)
                if (fs.f_type == magics[i])
                        return true;
        return false;
}

typedef int (*Place)(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                     unsigned depth);

static int copy_children(Copier *c, int from_fd, int to_fd, unsigned depth, Place place)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        struct stat st;
        int r = 0;

        if (depth == 0)
                return -ELOOP;
        if (shows_the_kernel(from_fd))
                return 0;
        int fd = fcntl(from_fd, F_DUPFD_CLOEXEC, 3);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                _cleanup_close_ int child_fd = openat(from_fd, e->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (child_fd < 0 && errno == ENOENT)
                        continue; /* removed meanwhile */
                r = child_fd < 0 || fstat(child_fd, &st) < 0 ? -errno : 0;
                if (r >= 0)
                        r = place(c, child_fd, &st, to_fd, e->d_name, depth - 1);
                (void) fail(c, e->d_name, r);
        }
        return r < 0 ? r : -errno;
}

/* Copies to a name that nothing has. */
static int make(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                unsigned depth)
{
        Linked *known = S_ISDIR(st->st_mode) || st->st_nlink < 2 ? NULL : find_linked(c, st);
        char path[FD_PATH_MAX];
        int r;

        if (known)
                return make_link(c, known, parent_fd, name);
        switch (st->st_mode & S_IFMT) {
        case S_IFREG:
                r = copy_file(c, source_fd, st, parent_fd, name);
                break;
        case S_IFLNK:
                r = copy_link(c, source_fd, st, parent_fd, name);
                break;
        case S_IFDIR: {
                _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_DIRECTORY);
                if (from_fd < 0)
                        return from_fd;
                if (mkdirat(parent_fd, name, 0700) < 0)
                        return -errno;
                _cleanup_close_ int to_fd = openat(parent_fd, name,
                                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = to_fd < 0 ? -errno : copy_children(c, from_fd, to_fd, depth, make);
                if (r >= 0)
                        r = copy_xattrs(c->copy, from_fd, to_fd);
                return r < 0 ? r : copy_stat(c->copy, st, fd_path(to_fd, path));
        }
        default:
                r = copy_node(c, st, parent_fd, name);
        }
        return r >= 0 && st->st_nlink > 1 ? remember(c, st, parent_fd, name) : r;
}

/* Copies to a name that something may have. */
static int place(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                 unsigned depth)
{
        char hidden[NAME_BUFFER];
        int r;

        if (S_ISDIR(st->st_mode)) {
                _cleanup_close_ int to_fd = openat(parent_fd, name,
                                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (to_fd >= 0) {
                        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_DIRECTORY);
                        return from_fd < 0 ? from_fd : copy_children(c, from_fd, to_fd, depth, place);
                }
        }
        snprintf(hidden, sizeof(hidden), ".#mctl-%016" PRIx64, random_u64());
        r = make(c, source_fd, st, parent_fd, hidden, depth);
        if (r >= 0)
                r = RET_NERRNO(renameat2(parent_fd, hidden, parent_fd, name,
                                         c->copy->replace ? 0 : RENAME_NOREPLACE));
        if (r < 0)
                (void) tree_remove(parent_fd, hidden);
        return r;
}

int tree_copy(TreeCopy *copy, int source_fd, int parent_fd, const char *name)
{
        Copier c = { .copy = copy };
        struct stat st;
        int r;

        copy->failed[0] = 0;
        r = fstat(source_fd, &st) < 0 ? -errno : place(&c, source_fd, &st, parent_fd, name, DEPTH_MAX);
        (void) fail(&c, name, r);
        for (size_t i = 0; i < c.n_linked; i++)
                fd_close(c.linked[i].fd);
        free(c.linked);
        return r;
}

/* --- removal ------------------------------------------------------------------------------------------------------ */

static int remove_children(int dir_fd, unsigned depth);

static int remove_one(int parent_fd, const char *name, unsigned depth)
{
        if (unlinkat(parent_fd, name, 0) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR)
                return -errno;
        _cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = fd < 0 ? -errno : remove_children(fd, depth);
        return r < 0 ? r : unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_children(int dir_fd, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, fd = depth == 0 ? -1 : fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        if (depth == 0)
                return -ELOOP;
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = remove_one(dir_fd, e->d_name, depth - 1);
        return r < 0 ? r : -errno;
}

int tree_remove(int parent_fd, const char *name)
{
        return remove_one(parent_fd, name, DEPTH_MAX * 2);
}

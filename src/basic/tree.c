/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/fsuid.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "basic/capability.h"
#include "basic/random.h"
#include "basic/str.h"
#include "basic/syscalls.h"
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
        uid_t uid; /* who we are for file systems */
        gid_t gid;
        Linked *linked;
        size_t n_linked;
} Copier;

/* Puts a name in front of those that an error is about already. */
static int fail(Copier *c, const char *name, int r)
{
        char *failed = c->copy->failed;

        if (r < 0) {
                _cleanup_free_ char *below = strdup(failed);
                snprintf(failed, sizeof(c->copy->failed), "%s%s%s", name, below && *below ? "/" : "",
                         below ?: "");
        }
        return r;
}

/* --- owners and attributes ---------------------------------------------------------------------------------------- */

/* What is made belongs to who makes it, at once: between its making and a change of owner, a stranger could put something
 * else there. All that this process may do, it still may. */
static int act_as(Copier *c, uid_t uid, gid_t gid)
{
        if (uid == c->uid && gid == c->gid)
                return 0;
        (void) setfsgid(gid);
        (void) setfsuid(uid);
        c->uid = uid;
        c->gid = gid;
        return capability_raise();
}

/* We may do anything to anybody's files, and a machine can mount files of others into its tree. So nothing of that side is
 * read or changed that its root could not read or change. */
static bool is_of(const TreeUsers *users, const struct stat *st)
{
        return st->st_uid >= users->base && st->st_uid - users->base < users->size &&
               st->st_gid >= users->base && st->st_gid - users->base < users->size;
}

static int check_target(const Copier *c, int dir_fd)
{
        struct stat st;

        return fstat(dir_fd, &st) < 0 ? -errno : is_of(&c->copy->to, &st) ? 0 : -EACCES;
}

/* Who is nobody on one side is nobody on the other, or the last that there is. */
static uid_t map_id(const TreeCopy *copy, uid_t id)
{
        uint32_t inner = id < copy->from.base || id - copy->from.base >= copy->from.size
                                 ? NOBODY
                                 : id - copy->from.base;

        return copy->to.base + MIN(inner < copy->to.size ? inner : NOBODY, copy->to.size - 1);
}

static bool is_strange_device(const TreeCopy *copy, const struct stat *st)
{
        return copy->distrust && (S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode));
}

static int become_owner(Copier *c, const struct stat *st)
{
        return is_strange_device(c->copy, st)
                       ? act_as(c, 0, 0)
                       : act_as(c, map_id(c->copy, st->st_uid), map_id(c->copy, st->st_gid));
}

/* `path` is the magic link of the target, which has its owner. */
static int copy_stat(const TreeCopy *copy, const struct stat *st, const char *path)
{
        const struct timespec times[] = { st->st_atim, st->st_mtim };
        mode_t mode = is_strange_device(copy, st)
                              ? 0600
                              : st->st_mode & (copy->distrust && !S_ISDIR(st->st_mode) ? 01777 : 07777);

        return chmod(path, mode) < 0 || utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

/* Opens what we have just made by that name, if it is: something else may have been put there meanwhile, by another name
 * that it had or by a mount. */
static int open_made(const Copier *c, int parent_fd, const char *name, mode_t type, int flags)
{
        const struct open_how how = {
                .flags = flags | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV,
        };
        struct stat st;

        _cleanup_close_ int fd = sys_openat2(parent_fd, name, &how);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return (st.st_mode & S_IFMT) == type && st.st_uid == c->uid && (S_ISDIR(type) || st.st_nlink == 1)
                       ? TAKE_FD(fd)
                       : -EBUSY;
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

/* File capabilities (capabilities(7)) count in the user namespace of whose root they are: version 2 has that of the mount's,
 * which the kernel lets only its own root write, and version 3 names it. Returns the new size. */
static size_t map_capabilities(const TreeCopy *copy, struct vfs_ns_cap_data *caps, size_t size)
{
        uint32_t magic = le32toh(caps->magic_etc);
        uid_t root = size == sizeof(*caps) ? map_id(copy, le32toh(caps->rootid)) : copy->to.base;

        if (root == 0 || (size != sizeof(*caps) && size != XATTR_CAPS_SZ_2))
                return size;
        caps->magic_etc = htole32(VFS_CAP_REVISION_3 | (magic & VFS_CAP_FLAGS_EFFECTIVE));
        caps->rootid = htole32(root);
        return sizeof(*caps);
}

/* Those that mean something elsewhere. What overlayfs keeps for itself would mean something else there. */
static bool is_portable(const TreeCopy *copy, const char *name)
{
        if (streq(name, "security.capability"))
                return !copy->distrust;
        return startswith(name, "system.posix_acl_") ||
               (copy->layer && startswith(name, "trusted.overlay.")) ||
               (startswith(name, "user.") && !startswith(name, "user.overlay."));
}

static int copy_xattr(const TreeCopy *copy, int from_fd, int to_fd, const char *name)
{
        _Alignas(struct vfs_ns_cap_data) uint8_t value[XATTRS_MAX];
        ssize_t n = fgetxattr(from_fd, name, value, sizeof(value));

        if (n < 0)
                return errno == ENODATA ? 0 : -errno;
        if (startswith(name, "system."))
                map_access_list(copy, value, n);
        else if (startswith(name, "security."))
                n = map_capabilities(copy, (struct vfs_ns_cap_data *) value, n);
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
                if (hole <= data)
                        return hole < 0 ? -errno : -EIO; /* a file system may be a machine's own */
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

        if (shows_the_kernel(source_fd))
                return -EOPNOTSUPP;
        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (from_fd < 0)
                return from_fd;
        _cleanup_close_ int to_fd = openat(parent_fd, name,
                                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to_fd < 0)
                return -errno;
        /* In a directory with the set-group-ID bit, the group is that of the directory. */
        r = fchown(to_fd, c->uid, c->gid) < 0 ? -errno : copy_data(from_fd, to_fd, st->st_size);
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
        if (symlinkat(target, parent_fd, name) < 0)
                return -errno;
        _cleanup_close_ int fd = open_made(c, parent_fd, name, S_IFLNK, O_PATH);
        if (fd < 0)
                return fd;
        (void) utimensat(fd, "", times, AT_EMPTY_PATH); /* newer kernels can */
        return 0;
}

static int copy_node(Copier *c, const struct stat *st, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];

        if (mknodat(parent_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0)
                return -errno;
        _cleanup_close_ int fd = open_made(c, parent_fd, name, st->st_mode & S_IFMT, O_PATH);
        return fd < 0 ? fd : copy_stat(c->copy, st, fd_path(fd, path));
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
        int fd = open_made(c, parent_fd, name, st->st_mode & S_IFMT, O_PATH);
        if (fd < 0)
                return fd;
        p[c->n_linked++] = (Linked){ st->st_dev, st->st_ino, st->st_nlink - 1, fd };
        return 0;
}

static void forget_links(Copier *c)
{
        for (size_t i = 0; i < c->n_linked; i++)
                fd_close(c->linked[i].fd);
        free(c->linked);
}

/* --- directories -------------------------------------------------------------------------------------------------- */

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
                r = child_fd < 0 || fstat(child_fd, &st) < 0 ? -errno
                    : is_of(&c->copy->from, &st)             ? 0
                                                             : -EACCES;
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

        r = known ? make_link(c, known, parent_fd, name) : -EXDEV;
        if (r != -EXDEV && r != -EMLINK)
                return r;
        /* A file of its own. */
        r = become_owner(c, st);
        if (r < 0)
                return r;
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
                _cleanup_close_ int to_fd = open_made(c, parent_fd, name, S_IFDIR, O_RDONLY | O_DIRECTORY);
                r = to_fd < 0 ? to_fd : copy_children(c, from_fd, to_fd, depth, make);
                if (r >= 0)
                        r = copy_xattrs(c->copy, from_fd, to_fd);
                return r < 0 ? r : copy_stat(c->copy, st, fd_path(to_fd, path));
        }
        default:
                r = copy_node(c, st, parent_fd, name);
        }
        return r >= 0 && st->st_nlink > 1 && !known ? remember(c, st, parent_fd, name) : r;
}

/* Copies to a name that something may have. */
static int place(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                 unsigned depth)
{
        char hidden[NAME_BUFFER];
        int r;

        if (S_ISDIR(st->st_mode)) {
                _cleanup_close_ int to_fd = dir_open_at(parent_fd, name);
                if (to_fd >= 0) {
                        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_DIRECTORY);
                        r = from_fd < 0 ? from_fd : check_target(c, to_fd);
                        return r < 0 ? r : copy_children(c, from_fd, to_fd, depth, place);
                }
        }
        snprintf(hidden, sizeof(hidden), TREE_HIDDEN "%016" PRIx64, random_u64());
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
        r = fstat(source_fd, &st) < 0 ? -errno
            : is_of(&copy->from, &st) ? check_target(&c, parent_fd)
                                      : -EACCES;
        if (r >= 0)
                r = place(&c, source_fd, &st, parent_fd, name, DEPTH_MAX);
        (void) fail(&c, name, r);
        (void) act_as(&c, 0, 0);
        forget_links(&c);
        return r;
}

int tree_copy_children(TreeCopy *copy, int source_fd, int target_fd)
{
        Copier c = { .copy = copy };
        char path[FD_PATH_MAX];
        struct stat st;
        int r;

        copy->failed[0] = 0;
        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_DIRECTORY);
        r = from_fd < 0 || fstat(from_fd, &st) < 0 ? -errno
            : is_of(&copy->from, &st)              ? check_target(&c, target_fd)
                                                   : -EACCES;
        if (r >= 0)
                r = copy_children(&c, from_fd, target_fd, DEPTH_MAX, place);
        (void) act_as(&c, 0, 0);
        if (r >= 0 && fchown(target_fd, map_id(copy, st.st_uid), map_id(copy, st.st_gid)) < 0)
                r = -errno;
        if (r >= 0)
                r = copy_xattrs(copy, from_fd, target_fd);
        if (r >= 0)
                r = copy_stat(copy, &st, fd_path(target_fd, path));
        forget_links(&c);
        return r;
}

/* --- removal ------------------------------------------------------------------------------------------------------ */

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

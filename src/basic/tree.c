/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "basic/capability.h"
#include "basic/list.h"
#include "basic/random.h"
#include "basic/str.h"
#include "basic/syscalls.h"
#include "basic/time.h"
#include "basic/tree.h"

#define DEPTH_MAX   512U
#define NAME_BUFFER 32U
#define XATTRS_MAX  65536U
#define NOBODY      65534U
/* Greatest number of files in Crew.linked. Each holds a descriptor. */
#define LINKED_MAX  4096U
#define THREADS_MAX 8U
/* Bytes that are copied between two checks for cancellation. */
#define STEP      (16U * 1024U * 1024U)
#define TELL_USEC (100 * USEC_PER_MSEC)

typedef struct Linked {
        dev_t dev;
        ino_t ino;
        nlink_t left; /* names that the copy has not met yet */
        int fd;       /* of the copied file */
} Linked;

/* A directory that exists already. An idle thread fills it. */
typedef struct Job {
        struct Job *next;
        int from_fd, to_fd;
        struct stat st;
        unsigned depth;
        char path[TREE_FAILED_MAX];
} Job;

/* The state that all threads of a copy share. */
typedef struct Crew {
        TreeCopy *copy;
        pthread_t threads[THREADS_MAX];
        unsigned n_threads;
        pthread_mutex_t lock; /* for all fields up to tell_lock */
        pthread_cond_t changed;
        Job *jobs; /* not taken by a thread yet */
        unsigned n_jobs, n_idle;
        unsigned n_open; /* jobs that are not done */
        bool ending;
        int error; /* the first error */
        uint64_t bytes;
        pthread_mutex_t tell_lock;
        uint64_t when; /* the next call of progress(), µs */
        pthread_mutex_t links_lock;
        Linked *linked;
        size_t n_linked;
} Crew;

/* The state of one thread. */
typedef struct Copier {
        Crew *crew;
        TreeCopy *copy;
        uid_t uid; /* user for file systems */
        gid_t gid;
        dev_t plain_dev;            /* a file system whose files can be copied, or 0 */
        char path[TREE_FAILED_MAX]; /* of the current file */
} Copier;

/* Appends a name to c->path. Returns the former length of the path. */
static size_t enter(Copier *c, const char *name)
{
        size_t n = strlen(c->path);

        snprintf(c->path + n, sizeof(c->path) - n, "%s%s", n > 0 ? "/" : "", name);
        return n;
}

/* Stores the first error of the copy and its path. Returns `r`. */
static int fail(Copier *c, int r)
{
        if (r >= 0)
                return r;
        (void) pthread_mutex_lock(&c->crew->lock);
        if (c->crew->error >= 0) {
                __atomic_store_n(&c->crew->error, r, __ATOMIC_RELAXED);
                memcpy(c->copy->failed, c->path, sizeof(c->path));
        }
        (void) pthread_mutex_unlock(&c->crew->lock);
        return r;
}

/* --- owners and attributes ----------------------------------------------------------------------------- */

/* A new file belongs at once to the thread that makes it. Between its creation and a chown(2), a stranger
 * could put another file in its place. The thread keeps its capabilities. */
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

/* This process may access all files, and a machine can mount files of others into its tree. So a file is not
 * read or changed if the root of the machine could not do that. */
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

/* User nobody of one side is nobody on the other, or the last user if that side is smaller. */
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

/* The target has its owner already. For an O_PATH descriptor, `path` is its magic link. */
static int copy_stat(const TreeCopy *copy, const struct stat *st, int fd, const char *path)
{
        const struct timespec times[] = { st->st_atim, st->st_mtim };
        mode_t mode = is_strange_device(copy, st)
                              ? 0600
                              : st->st_mode & (copy->distrust && !S_ISDIR(st->st_mode) ? 01777 : 07777);

        if (path)
                return chmod(path, mode) < 0 || utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
        return fchmod(fd, mode) < 0 || futimens(fd, times) < 0 ? -errno : 0;
}

/* Opens a file that this thread has just made. If somebody has put another file under its name meanwhile,
 * the error is -EBUSY, or -EXDEV for a mount. */
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

/* Maps the IDs of an access list. In system calls and on disk (acl(5)), the list has a version, then entries
 * of tag, permissions, ID. */
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

/* Maps the root user of file capabilities (capabilities(7)), who determines the user namespace they are
 * valid in. Version 3 names that user. Version 2 means the root of the mount's user namespace, and the
 * kernel lets only that root write it. Returns the new size. */
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

/* Whether an extended attribute has a meaning elsewhere. In another overlay, the attributes of overlayfs
 * would have another meaning. */
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

/* Whether a file is in procfs or a similar file system, which has no data of its own. */
static bool shows_the_kernel(Copier *c, int fd, const struct stat *st)
{
        static const long magics[] = { PROC_SUPER_MAGIC,   SYSFS_MAGIC,   CGROUP2_SUPER_MAGIC,
                                       DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
                                       BPF_FS_MAGIC };
        struct statfs fs;

        if (st->st_dev == c->plain_dev || fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(magics); i++)
                if (fs.f_type == magics[i])
                        return true;
        c->plain_dev = st->st_dev;
        return false;
}

/* --- files --------------------------------------------------------------------------------------------- */

/* Checks for cancellation, adds to the count of bytes, and reports progress. Other threads do not wait while
 * one reports. */
static int tell(Copier *c, uint64_t bytes)
{
        Crew *crew = c->crew;

        if (c->copy->is_cancelled && c->copy->is_cancelled())
                return -ECANCELED;
        bytes = __atomic_add_fetch(&crew->bytes, bytes, __ATOMIC_RELAXED);
        if (!c->copy->progress || pthread_mutex_trylock(&crew->tell_lock) != 0)
                return 0;
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        if (now >= crew->when) {
                crew->when = now + TELL_USEC;
                c->copy->progress(c->copy->userdata, bytes);
        }
        (void) pthread_mutex_unlock(&crew->tell_lock);
        return 0;
}

static int copy_range(Copier *c, int from_fd, int to_fd, off_t from, off_t to)
{
        bool by_range = true;

        for (off_t at = from; at < to;) {
                loff_t in = at, out = at;
                size_t size = MIN((size_t) (to - at), STEP);
                ssize_t n = by_range ? copy_file_range(from_fd, &in, to_fd, &out, size, 0) : -1;
                if (n < 0 && by_range && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
                        by_range = false;
                        continue;
                }
                if (!by_range && lseek(to_fd, at, SEEK_SET) >= 0)
                        n = sendfile(to_fd, from_fd, &in, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0; /* the file was truncated meanwhile */
                at += n;
                int r = tell(c, n);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Holes stay holes. */
static int copy_data(Copier *c, int from_fd, int to_fd, const struct stat *st)
{
        off_t size = st->st_size;

        /* Most files have no holes. */
        if (st->st_blocks >= size / 512 + (size % 512 > 0))
                return copy_range(c, from_fd, to_fd, 0, size);
        if (ftruncate(to_fd, size) < 0)
                return -errno;
        for (off_t at = 0; at < size;) {
                off_t data = lseek(from_fd, at, SEEK_DATA), hole;
                if (data < 0)
                        return errno == ENXIO ? 0 : -errno; /* only a hole is left */
                hole = lseek(from_fd, data, SEEK_HOLE);
                if (hole <= data)
                        return hole < 0 ? -errno : -EIO; /* a machine can implement its own file system */
                int r = copy_range(c, from_fd, to_fd, data, MIN(hole, size));
                if (r < 0)
                        return r;
                at = hole;
        }
        return 0;
}

static int copy_file(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name)
{
        int r;

        if (shows_the_kernel(c, source_fd, st))
                return -EOPNOTSUPP;
        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (from_fd < 0)
                return from_fd;
        _cleanup_close_ int to_fd = openat(parent_fd, name,
                                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to_fd < 0)
                return -errno;
        /* In a directory with the set-group-ID bit, a new file gets the group of the directory. */
        r = fchown(to_fd, c->uid, c->gid) < 0 ? -errno : copy_data(c, from_fd, to_fd, st);
        if (r >= 0)
                r = copy_stat(c->copy, st, to_fd, NULL);
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
        (void) utimensat(fd, "", times, AT_EMPTY_PATH); /* older kernels cannot do this for links */
        return 0;
}

static int copy_node(Copier *c, const struct stat *st, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];

        if (mknodat(parent_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0)
                return -errno;
        _cleanup_close_ int fd = open_made(c, parent_fd, name, st->st_mode & S_IFMT, O_PATH);
        return fd < 0 ? fd : copy_stat(c->copy, st, fd, fd_path(fd, path));
}

/* --- hard links ---------------------------------------------------------------------------------------- */

static Linked *find_linked(Crew *crew, const struct stat *st)
{
        for (size_t i = 0; i < crew->n_linked; i++)
                if (crew->linked[i].dev == st->st_dev && crew->linked[i].ino == st->st_ino)
                        return crew->linked + i;
        return NULL;
}

static int make_link(Crew *crew, Linked *l, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];

        if (linkat(AT_FDCWD, fd_path(l->fd, path), parent_fd, name, AT_SYMLINK_FOLLOW) < 0)
                return -errno;
        if (--l->left == 0) {
                fd_close(l->fd);
                *l = crew->linked[--crew->n_linked];
        }
        return 0;
}

/* Stores the copy of a file whose other names are still to come. Beyond LINKED_MAX, further names become
 * files of their own. */
static int remember(Copier *c, const struct stat *st, int parent_fd, const char *name)
{
        Crew *crew = c->crew;

        if (crew->n_linked == LINKED_MAX)
                return 0;
        Linked *p = reallocarray(crew->linked, crew->n_linked + 1, sizeof(Linked));
        OOM_CHECK(p);
        crew->linked = p;
        int fd = open_made(c, parent_fd, name, st->st_mode & S_IFMT, O_PATH);
        if (fd < 0)
                return fd;
        p[crew->n_linked++] = (Linked){ st->st_dev, st->st_ino, st->st_nlink - 1, fd };
        return 0;
}

static void forget_links(Crew *crew)
{
        for (size_t i = 0; i < crew->n_linked; i++)
                fd_close(crew->linked[i].fd);
        free(crew->linked);
}

/* --- directories --------------------------------------------------------------------------------------- */

typedef int (*Place)(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                     unsigned depth);

/* `of` is the status of the source directory itself. */
static int copy_children(Copier *c, int from_fd, int to_fd, const struct stat *of, unsigned depth,
                         Place place)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        struct stat st;
        int r = 0;

        if (depth == 0)
                return -ELOOP;
        if (shows_the_kernel(c, from_fd, of))
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
                size_t above = enter(c, e->d_name);
                /* Another thread has failed, or the caller has cancelled the copy. */
                r = __atomic_load_n(&c->crew->error, __ATOMIC_RELAXED);
                if (r >= 0)
                        r = fail(c, tell(c, 0));
                if (r < 0)
                        return r;
                _cleanup_close_ int child_fd = openat(from_fd, e->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (child_fd >= 0 || errno != ENOENT) { /* else it was removed meanwhile */
                        r = child_fd < 0 || fstat(child_fd, &st) < 0 ? -errno
                            : is_of(&c->copy->from, &st)             ? 0
                                                                     : -EACCES;
                        if (r >= 0)
                                r = place(c, child_fd, &st, to_fd, e->d_name, depth - 1);
                        (void) fail(c, r);
                }
                c->path[above] = 0;
        }
        return r < 0 ? r : -errno;
}

static int make(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                unsigned depth);

static int fill(Copier *c, int from_fd, int to_fd, const struct stat *st, unsigned depth)
{
        int r = copy_children(c, from_fd, to_fd, st, depth, make);

        if (r >= 0)
                r = copy_xattrs(c->copy, from_fd, to_fd);
        return r < 0 ? r : copy_stat(c->copy, st, to_fd, NULL);
}

/* Passes a directory and its descriptors to an idle thread. False if no thread is idle. */
static bool hand_over(Copier *c, int from_fd, int to_fd, const struct stat *st, unsigned depth)
{
        Crew *crew = c->crew;
        bool wanted;

        if (__atomic_load_n(&crew->n_idle, __ATOMIC_RELAXED) == 0)
                return false;
        Job *job = malloc(sizeof(Job));
        if (!job)
                return false;
        *job = (Job){ .from_fd = from_fd, .to_fd = to_fd, .st = *st, .depth = depth };
        memcpy(job->path, c->path, sizeof(job->path));
        (void) pthread_mutex_lock(&crew->lock);
        wanted = crew->n_idle > crew->n_jobs;
        if (wanted) {
                LIST_PREPEND(&crew->jobs, job);
                crew->n_jobs++;
                crew->n_open++;
                (void) pthread_cond_broadcast(&crew->changed);
        }
        (void) pthread_mutex_unlock(&crew->lock);
        if (!wanted)
                free(job);
        return wanted;
}

/* Fills the first directory in the list of jobs. The caller holds crew->lock, which is released
 * meanwhile. */
static void work_off(Copier *c)
{
        Crew *crew = c->crew;
        Job *job = crew->jobs;
        char path[sizeof(c->path)];

        crew->jobs = job->next;
        crew->n_jobs--;
        (void) pthread_mutex_unlock(&crew->lock);
        memcpy(path, c->path, sizeof(path));
        memcpy(c->path, job->path, sizeof(path));
        (void) fail(c, fill(c, job->from_fd, job->to_fd, &job->st, job->depth));
        memcpy(c->path, path, sizeof(path));
        fd_close(job->from_fd);
        fd_close(job->to_fd);
        free(job);
        (void) pthread_mutex_lock(&crew->lock);
        if (--crew->n_open == 0)
                (void) pthread_cond_broadcast(&crew->changed);
}

static void *help(void *userdata)
{
        Crew *crew = userdata;
        Copier c = { .crew = crew, .copy = crew->copy };

        (void) pthread_mutex_lock(&crew->lock);
        while (!crew->ending)
                if (crew->jobs)
                        work_off(&c);
                else {
                        (void) __atomic_add_fetch(&crew->n_idle, 1, __ATOMIC_RELAXED);
                        (void) pthread_cond_wait(&crew->changed, &crew->lock);
                        (void) __atomic_sub_fetch(&crew->n_idle, 1, __ATOMIC_RELAXED);
                }
        (void) pthread_mutex_unlock(&crew->lock);
        return NULL;
}

/* Waits until all jobs are done, and does jobs meanwhile. After that, the tree below the hidden name is
 * complete. */
static int wait_for_others(Copier *c)
{
        Crew *crew = c->crew;

        (void) pthread_mutex_lock(&crew->lock);
        while (crew->n_open > 0)
                if (crew->jobs)
                        work_off(c);
                else
                        (void) pthread_cond_wait(&crew->changed, &crew->lock);
        (void) pthread_mutex_unlock(&crew->lock);
        return crew->error;
}

static unsigned count_processors(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned) CPU_COUNT(&set);
}

/* If threads cannot be created, the copy continues with fewer. A machine can block an operation on its
 * files, for example with a file system of its own, and signals reach only the first thread. So no other
 * thread copies files of a machine. */
static void crew_begin(Crew *crew)
{
        const TreeCopy *copy = crew->copy;
        unsigned n = copy->from.size == UINT32_MAX && copy->to.size == UINT32_MAX
                             ? MIN(count_processors(), THREADS_MAX)
                             : 1;

        while (crew->n_threads + 1 < n &&
               pthread_create(crew->threads + crew->n_threads, NULL, help, crew) == 0)
                crew->n_threads++;
}

static void crew_end(Crew *crew)
{
        (void) pthread_mutex_lock(&crew->lock);
        crew->ending = true;
        (void) pthread_cond_broadcast(&crew->changed);
        (void) pthread_mutex_unlock(&crew->lock);
        while (crew->n_threads > 0)
                (void) pthread_join(crew->threads[--crew->n_threads], NULL);
        forget_links(crew);
}

static int make_directory(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                          unsigned depth)
{
        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_DIRECTORY);

        if (from_fd < 0)
                return from_fd;
        if (mkdirat(parent_fd, name, 0700) < 0)
                return -errno;
        _cleanup_close_ int to_fd = open_made(c, parent_fd, name, S_IFDIR, O_RDONLY | O_DIRECTORY);
        if (to_fd < 0)
                return to_fd;
        if (!hand_over(c, from_fd, to_fd, st, depth))
                return fill(c, from_fd, to_fd, st, depth);
        TAKE_FD(from_fd);
        TAKE_FD(to_fd);
        return 0;
}

static int make_file(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name)
{
        return S_ISREG(st->st_mode)   ? copy_file(c, source_fd, st, parent_fd, name)
               : S_ISLNK(st->st_mode) ? copy_link(c, source_fd, st, parent_fd, name)
                                      : copy_node(c, st, parent_fd, name);
}

/* Copies a file that has several names, or had several when it was inspected. Holds links_lock during the
 * copy, so that no other thread looks for the same file. */
static int make_linked(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name)
{
        (void) pthread_mutex_lock(&c->crew->links_lock);
        Linked *known = find_linked(c->crew, st);
        int r = known ? make_link(c->crew, known, parent_fd, name) : -EXDEV;
        /* The first name of the file, or a name that cannot be linked. */
        if (r == -EXDEV || r == -EMLINK) {
                r = make_file(c, source_fd, st, parent_fd, name);
                if (r >= 0 && !known)
                        r = remember(c, st, parent_fd, name);
        }
        (void) pthread_mutex_unlock(&c->crew->links_lock);
        return r;
}

/* Copies to a name that does not exist. */
static int make(Copier *c, int source_fd, const struct stat *st, int parent_fd, const char *name,
                unsigned depth)
{
        int r = become_owner(c, st);

        return r < 0                  ? r
               : S_ISDIR(st->st_mode) ? make_directory(c, source_fd, st, parent_fd, name, depth)
               : st->st_nlink > 1     ? make_linked(c, source_fd, st, parent_fd, name)
                                      : make_file(c, source_fd, st, parent_fd, name);
}

/* Copies to a name that may exist. */
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
                        return r < 0 ? r : copy_children(c, from_fd, to_fd, st, depth, place);
                }
        }
        snprintf(hidden, sizeof(hidden), TREE_HIDDEN "%016" PRIx64, random_u64());
        r = make(c, source_fd, st, parent_fd, hidden, depth);
        int others = wait_for_others(c); /* may change the user of this thread, but not its capabilities */
        if (r >= 0)
                r = others;
        if (r >= 0)
                r = RET_NERRNO(renameat2(parent_fd, hidden, parent_fd, name,
                                         c->copy->replace ? 0 : RENAME_NOREPLACE));
        if (r < 0)
                (void) tree_remove(parent_fd, hidden);
        return r;
}

#define CREW(copy)                                       \
        ((Crew){ .copy = (copy),                         \
                 .lock = PTHREAD_MUTEX_INITIALIZER,      \
                 .changed = PTHREAD_COND_INITIALIZER,    \
                 .tell_lock = PTHREAD_MUTEX_INITIALIZER, \
                 .links_lock = PTHREAD_MUTEX_INITIALIZER })

int tree_copy(TreeCopy *copy, int source_fd, int parent_fd, const char *name)
{
        Crew crew = CREW(copy);
        Copier c = { .crew = &crew, .copy = copy };
        struct stat st;
        int r;

        copy->failed[0] = 0;
        r = fstat(source_fd, &st) < 0 ? -errno
            : is_of(&copy->from, &st) ? check_target(&c, parent_fd)
                                      : -EACCES;
        if (r >= 0 && S_ISDIR(st.st_mode))
                crew_begin(&crew);
        (void) enter(&c, name);
        if (r >= 0)
                r = place(&c, source_fd, &st, parent_fd, name, DEPTH_MAX);
        (void) fail(&c, r);
        (void) act_as(&c, 0, 0);
        crew_end(&crew);
        return r < 0 ? crew.error : 0;
}

int tree_copy_children(TreeCopy *copy, int source_fd, int target_fd)
{
        Crew crew = CREW(copy);
        Copier c = { .crew = &crew, .copy = copy };
        struct stat st;
        int r;

        copy->failed[0] = 0;
        _cleanup_close_ int from_fd = fd_reopen(source_fd, O_RDONLY | O_DIRECTORY);
        r = from_fd < 0 || fstat(from_fd, &st) < 0 ? -errno
            : is_of(&copy->from, &st)              ? check_target(&c, target_fd)
                                                   : -EACCES;
        if (r >= 0) {
                crew_begin(&crew);
                r = copy_children(&c, from_fd, target_fd, &st, DEPTH_MAX, place);
        }
        (void) fail(&c, r);
        (void) act_as(&c, 0, 0);
        crew_end(&crew);
        r = crew.error;
        if (r >= 0 && fchown(target_fd, map_id(copy, st.st_uid), map_id(copy, st.st_gid)) < 0)
                r = -errno;
        if (r >= 0)
                r = copy_xattrs(copy, from_fd, target_fd);
        return r < 0 ? r : copy_stat(copy, &st, target_fd, NULL);
}

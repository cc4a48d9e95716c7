/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <linux/posix_acl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "archive/archive.h"
#include "archive/source.h"
#include "basic/rootfs.h"

/* The modification time of a directory changes with each new file in it, and is therefore set at the end. */
typedef struct Dir {
        char *path;
        struct timespec mtime;
} Dir;

typedef struct Unpacker {
        ArchiveJob *job;
        struct archive *archive;
        Source source;
        int root_fd;
        /* directory of the last entry, kept since the next entry is often in the same directory */
        int parent_fd;
        char *parent;
        Dir *dirs;
        size_t n_dirs;
        uint64_t n_entries;
        bool inherits;    /* a directory has a default access list, which new files below it inherit */
        uint64_t n_bytes; /* unpacked content */
        size_t n_names;   /* bytes of memory for `dirs` */
} Unpacker;

static void unpacker_clear(Unpacker *u)
{
        archive_read_free(u->archive);
        source_close(&u->source);
        fd_close(u->parent_fd);
        free(u->parent);
        for (size_t i = 0; i < u->n_dirs; i++)
                free(u->dirs[i].path);
        free(u->dirs);
}

/* Reports the error of libarchive. */
static int fail(Unpacker *u)
{
        const char *why = archive_error_string(u->archive);
        int e = u->source.error < 0 ? -u->source.error : archive_errno(u->archive);

        snprintf(u->job->failed, sizeof(u->job->failed), "%s", why ?: "the archive cannot be read");
        return e == ENOMEM || e == EIO || e == ECANCELED ? -e : -EBADMSG;
}

/* Reports an error of an entry. */
static int fail_entry(Unpacker *u, const char *path, int r, const char *why)
{
        snprintf(u->job->failed, sizeof(u->job->failed), "'%.900s' %s", path, why ?: strerror(-r));
        return r;
}

/* Returns a path in the tree without leading "/", without "." and without a trailing slash: "" for the tree
 * itself. The caller frees it. -EINVAL if the path has a "..". */
static int clean_path(const char *path, char **ret)
{
        _cleanup_free_ char *clean = malloc(strlen(path) + 1);
        size_t n = 0;

        OOM_CHECK(clean);
        for (const char *p = path; *p;) {
                size_t length = strcspn(p, "/");

                if (length == 2 && p[0] == '.' && p[1] == '.')
                        return -EINVAL;
                if (length > 0 && !(length == 1 && p[0] == '.')) {
                        if (length > NAME_MAX || n + length + 1 >= PATH_MAX)
                                return -ENAMETOOLONG;
                        if (n > 0)
                                clean[n++] = '/';
                        memcpy(clean + n, p, length);
                        n += length;
                }
                p += length;
                p += strspn(p, "/");
        }
        clean[n] = 0;
        *ret = TAKE_PTR(clean);
        return 0;
}

/* Opens the parent directory of an entry, makes missing directories, and returns the last component of the
 * path. */
static int open_parent(Unpacker *u, const char *path, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t) (slash - path) : 0;

        *ret_name = slash ? slash + 1 : path;
        if (u->parent && strncmp(u->parent, path, n) == 0 && !u->parent[n])
                return u->parent_fd;
        _cleanup_free_ char *parent = strndup(path, n);
        OOM_CHECK(parent);
        int fd = rootfs_make_dir(u->root_fd, n > 0 ? parent : "/", 0755);
        if (fd < 0)
                return fd;
        fd_close(u->parent_fd);
        u->parent_fd = fd;
        free(u->parent);
        u->parent = TAKE_PTR(parent);
        return fd;
}

/* --- attributes ---------------------------------------------------------------------------------------- */

typedef struct AclEntry {
        uint16_t tag, permissions;
        uint32_t id;
} AclEntry;

static int compare_acl(const void *a, const void *b)
{
        const AclEntry *x = a, *y = b;

        if (x->tag != y->tag)
                return le16toh(x->tag) < le16toh(y->tag) ? -1 : 1;
        return le32toh(x->id) < le32toh(y->id) ? -1 : le32toh(x->id) > le32toh(y->id);
}

/* Sets an access list in the format of the kernel: a version, then entries in the order of their tags
 * (acl(5)). */
static int set_acl(int fd, struct archive_entry *entry, int type, const char *name)
{
        static const struct {
                int library;
                uint16_t kernel;
        } tags[] = {
                { ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_USER_OBJ },   { ARCHIVE_ENTRY_ACL_USER, ACL_USER },
                { ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_GROUP_OBJ }, { ARCHIVE_ENTRY_ACL_GROUP, ACL_GROUP },
                { ARCHIVE_ENTRY_ACL_MASK, ACL_MASK },           { ARCHIVE_ENTRY_ACL_OTHER, ACL_OTHER },
        };
        struct {
                uint32_t version;
                AclEntry entries[256];
        } acl = { .version = htole32(2) };
        bool says_more = type == ARCHIVE_ENTRY_ACL_TYPE_DEFAULT; /* more than the mode says */
        size_t n = 0;
        int t, permissions, tag, id;
        const char *who;

        (void) archive_entry_acl_reset(entry, type);
        while (archive_entry_acl_next(entry, type, &t, &permissions, &tag, &id, &who) == ARCHIVE_OK) {
                if (n == ELEMENTSOF(acl.entries))
                        return -E2BIG;
                says_more = says_more || tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP ||
                            (tag == ARCHIVE_ENTRY_ACL_MASK &&
                             permissions != (int) (archive_entry_perm(entry) >> 3 & 7));
                for (size_t i = 0; i < ELEMENTSOF(tags); i++)
                        if (tags[i].library == tag)
                                acl.entries[n++] = (AclEntry){
                                        htole16(tags[i].kernel), htole16(permissions & 7),
                                        htole32(tags[i].kernel & (ACL_USER | ACL_GROUP) ? (uint32_t) id
                                                                                        : UINT32_MAX)
                                };
        }
        if (n == 0 || !says_more)
                return 0;
        qsort(acl.entries, n, sizeof(AclEntry), compare_acl);
        return fsetxattr(fd, name, &acl, sizeof(acl.version) + n * sizeof(AclEntry), 0) < 0 ? -errno : 0;
}

/* Sets owner, attributes, mode, access lists and times, in an order in which no step undoes an earlier
 * one. */
static int set_attributes(Unpacker *u, int fd, struct archive_entry *entry)
{
        const struct timespec times[] = {
                { .tv_nsec = UTIME_OMIT },
                { archive_entry_mtime(entry), archive_entry_mtime_nsec(entry) },
        };
        const char *name;
        const void *value;
        size_t size;
        int r = 0, types = archive_entry_acl_types(entry);

        if (fchown(fd, archive_entry_uid(entry), archive_entry_gid(entry)) < 0)
                return -errno;
        if (u->inherits) {
                (void) fremovexattr(fd, "system.posix_acl_access");
                (void) fremovexattr(fd, "system.posix_acl_default");
        }
        u->inherits = u->inherits || (types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT);
        (void) archive_entry_xattr_reset(entry);
        while (r >= 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
                if (archive_wants_xattr(name) && fsetxattr(fd, name, value, size, 0) < 0 &&
                    errno != EOPNOTSUPP)
                        r = -errno;
        if (r >= 0 && fchmod(fd, archive_entry_perm(entry)) < 0)
                r = -errno;
        if (r >= 0 && (types & ARCHIVE_ENTRY_ACL_TYPE_ACCESS))
                r = set_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access");
        if (r >= 0 && (types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) && archive_entry_filetype(entry) == AE_IFDIR)
                r = set_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default");
        if (r == -EOPNOTSUPP)
                r = 0;
        return r < 0 ? r : futimens(fd, times) < 0 ? -errno : 0;
}

/* --- entries ------------------------------------------------------------------------------------------- */

static int check_bounds(Unpacker *u, const char *path, size_t n)
{
        uint64_t bytes = u->source.n_read;

        u->n_bytes += n;
        uint64_t unpacked = MAX(u->n_bytes, (uint64_t) archive_filter_bytes(u->archive, 0));
        if (unpacked > UNPACK_FREE && unpacked / UNPACK_RATIO_MAX > bytes)
                return fail_entry(u, path, -EFBIG,
                                  "makes the content more than 200 times as large as the archive");
        return u->job->progress ? u->job->progress(u->job->userdata, bytes) : 0;
}

/* libarchive skips holes, and ftruncate() sets the size behind the last hole. */
static int write_data(Unpacker *u, const char *path, int fd, int64_t size)
{
        const void *data;
        size_t n;
        int64_t at;
        int r;

        while ((r = archive_read_data_block(u->archive, &data, &n, &at)) == ARCHIVE_OK) {
                for (size_t done = 0; done < n;) {
                        ssize_t k = pwrite(fd, (const char *) data + done, n - done, at + done);
                        if (k < 0)
                                return fail_entry(u, path, -errno, NULL);
                        done += k;
                }
                r = check_bounds(u, path, n);
                if (r < 0)
                        return r;
        }
        if (r != ARCHIVE_EOF)
                return fail(u);
        return ftruncate(fd, size) < 0 ? fail_entry(u, path, -errno, NULL) : 0;
}

static int unpack_file(Unpacker *u, struct archive_entry *entry, int parent_fd, const char *name)
{
        const char *path = archive_entry_pathname(entry);
        int r;

        _cleanup_close_ int fd = openat(parent_fd, name,
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return fail_entry(u, path, -errno, NULL);
        r = write_data(u, path, fd, archive_entry_size(entry));
        if (r < 0)
                return r;
        r = set_attributes(u, fd, entry);
        return r < 0 ? fail_entry(u, path, r, NULL) : 0;
}

/* Makes a directory. Replaces a file that is neither a directory nor a link to one. */
static int make_dir(Unpacker *u, const char *clean)
{
        const char *name;
        int parent_fd, fd = rootfs_make_dir(u->root_fd, *clean ? clean : "/", 0755);

        if (fd != -ENOTDIR || !*clean)
                return fd;
        parent_fd = open_parent(u, clean, &name);
        if (parent_fd < 0)
                return parent_fd;
        if (unlinkat(parent_fd, name, 0) < 0)
                return -errno;
        return rootfs_make_dir(u->root_fd, clean, 0755);
}

static int unpack_dir(Unpacker *u, struct archive_entry *entry, const char *clean)
{
        const char *path = archive_entry_pathname(entry);
        int r;

        _cleanup_close_ int path_fd = make_dir(u, clean);
        _cleanup_close_ int fd = path_fd < 0 ? path_fd : fd_reopen(path_fd, O_RDONLY | O_DIRECTORY);
        r = fd < 0 ? fd : set_attributes(u, fd, entry);
        if (r < 0)
                return fail_entry(u, path, r, NULL);
        u->n_names += strlen(clean) + sizeof(Dir);
        if (u->n_names > UNPACK_NAMES_MAX)
                return fail_entry(u, path, -EFBIG, "exceeds the limit of directories");
        Dir *p = reallocarray(u->dirs, u->n_dirs + 1, sizeof(Dir));
        OOM_CHECK(p);
        u->dirs = p;
        p[u->n_dirs] = (Dir){ strdup(clean),
                              { archive_entry_mtime(entry), archive_entry_mtime_nsec(entry) } };
        OOM_CHECK(p[u->n_dirs].path);
        u->n_dirs++;
        return 0;
}

static int set_times_at(struct archive_entry *entry, int parent_fd, const char *name)
{
        const struct timespec times[] = {
                { .tv_nsec = UTIME_OMIT },
                { archive_entry_mtime(entry), archive_entry_mtime_nsec(entry) },
        };

        return utimensat(parent_fd, name, times, AT_SYMLINK_NOFOLLOW);
}

static int unpack_link(struct archive_entry *entry, int parent_fd, const char *name)
{
        if (symlinkat(archive_entry_symlink(entry) ?: "", parent_fd, name) < 0 ||
            fchownat(parent_fd, name, archive_entry_uid(entry), archive_entry_gid(entry),
                     AT_SYMLINK_NOFOLLOW) < 0 ||
            set_times_at(entry, parent_fd, name) < 0)
                return -errno;
        return 0;
}

/* The target is resolved inside the tree. A symbolic link at its end is not followed. */
static int unpack_hard_link(Unpacker *u, const char *target, int parent_fd, const char *name)
{
        _cleanup_free_ char *clean = NULL;
        char path[FD_PATH_MAX];
        struct stat st;
        int r = clean_path(target, &clean);

        if (r < 0)
                return r;
        _cleanup_close_ int fd = rootfs_open(u->root_fd, clean, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        return linkat(AT_FDCWD, fd_path(fd, path), parent_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int unpack_fifo(struct archive_entry *entry, int parent_fd, const char *name)
{
        char path[FD_PATH_MAX];

        if (mkfifoat(parent_fd, name, 0600) < 0)
                return -errno;
        _cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        (void) removexattr(fd_path(fd, path), "system.posix_acl_access"); /* inherited from its directory */
        if (fchownat(parent_fd, name, archive_entry_uid(entry), archive_entry_gid(entry),
                     AT_SYMLINK_NOFOLLOW) < 0 ||
            fchmodat(parent_fd, name, archive_entry_perm(entry), 0) < 0 ||
            set_times_at(entry, parent_fd, name) < 0)
                return -errno;
        return 0;
}

/* An archive may contain the same name twice, the second time as a hard link to itself. */
static bool is_itself(const char *hard_link, const char *clean)
{
        _cleanup_free_ char *target = NULL;

        return clean_path(hard_link, &target) >= 0 && streq(target, clean);
}

/* A later entry replaces an earlier entry of the same name. Directories are merged. */
static int unpack_entry(Unpacker *u, struct archive_entry *entry)
{
        const char *path = archive_entry_pathname(entry), *hard_link = archive_entry_hardlink(entry), *name;
        mode_t type = archive_entry_filetype(entry);
        _cleanup_free_ char *clean = NULL;
        int parent_fd, r;

        if (!path)
                return fail_entry(u, "", -EBADMSG, "has a name that is not valid text");
        r = clean_path(path, &clean);
        if (r == -EINVAL)
                return fail_entry(u, path, r, "leaves the tree");
        if (r < 0)
                return fail_entry(u, path, r, NULL);
        if (!hard_link && type == AE_IFDIR)
                return unpack_dir(u, entry, clean);
        if (!hard_link && type != AE_IFREG && type != AE_IFLNK && type != AE_IFIFO) {
                u->job->n_left_out++;
                return 0;
        }
        if (hard_link && is_itself(hard_link, clean))
                return 0;
        if (!*clean)
                return fail_entry(u, path, -EINVAL, "names the root of the tree, but is not a directory");
        parent_fd = open_parent(u, clean, &name);
        if (parent_fd < 0)
                return fail_entry(u, path, parent_fd, NULL);
        if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT &&
            (errno != EISDIR || unlinkat(parent_fd, name, AT_REMOVEDIR) < 0))
                return fail_entry(u, path, -errno, NULL);
        if (!hard_link && type == AE_IFREG)
                return unpack_file(u, entry, parent_fd, name);
        r = hard_link          ? unpack_hard_link(u, hard_link, parent_fd, name)
            : type == AE_IFLNK ? unpack_link(entry, parent_fd, name)
                               : unpack_fifo(entry, parent_fd, name);
        return r == -EINVAL ? fail_entry(u, path, r, "is a hard link to a file outside of the tree")
               : r < 0      ? fail_entry(u, path, r, NULL)
                            : 0;
}

/* From the last directory to the first. The order does not matter, since times of a directory do not change
 * its parent. */
static int set_dir_times(Unpacker *u)
{
        for (size_t i = u->n_dirs; i-- > 0;) {
                const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, u->dirs[i].mtime };
                char path[FD_PATH_MAX];
                _cleanup_close_ int fd = rootfs_open(u->root_fd, *u->dirs[i].path ? u->dirs[i].path : "/",
                                                     O_PATH | O_DIRECTORY);
                if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
                        return fd;
                if (fd >= 0 && utimensat(AT_FDCWD, fd_path(fd, path), times, 0) < 0)
                        return -errno;
        }
        return 0;
}

static int unpack_all(Unpacker *u)
{
        struct archive_entry *entry;
        int r;

        if (!source_add_filters(u->archive) || archive_read_support_format_tar(u->archive) != ARCHIVE_OK ||
            source_open(&u->source, u->archive) != ARCHIVE_OK)
                return fail(u);
        while ((r = archive_read_next_header(u->archive, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
                if (++u->n_entries > UNPACK_ENTRIES_MAX)
                        return fail_entry(u, archive_entry_pathname(entry) ?: "", -EFBIG,
                                          "exceeds the limit of entries");
                r = check_bounds(u, archive_entry_pathname(entry) ?: "", 0);
                if (r >= 0)
                        r = unpack_entry(u, entry);
                if (r < 0)
                        return r;
        }
        if (r != ARCHIVE_EOF)
                return fail(u);
        if (u->n_entries == 0) {
                snprintf(u->job->failed, sizeof(u->job->failed), "there is nothing in it");
                return -EBADMSG;
        }
        r = set_dir_times(u);
        return r < 0 ? fail_entry(u, "directory", r, NULL) : 0;
}

int archive_unpack(ArchiveJob *job, int in_fd, int dir_fd)
{
        _cleanup_(unpacker_clear) Unpacker u = {
                .job = job,
                .archive = archive_read_new(),
                .source = { .job = job, .fd = in_fd },
                .root_fd = dir_fd,
                .parent_fd = -EBADF,
        };
        int r;

        job->failed[0] = 0;
        OOM_CHECK(u.archive);
        r = unpack_all(&u);
        if ((r >= 0 || r == -EBADMSG) && source_drain(&u.source) < 0 && r >= 0)
                r = fail(&u);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "archive/sink.h"

#define BLOCK_SIZE (128U * 1024U)
#define DEPTH_MAX  512U
/* libarchive writes holes as zeros, so a larger sparse file would take too long. */
#define FILE_SIZE_MAX (INT64_C(64) << 40)

typedef struct Packer {
        ArchiveJob *job;
        struct archive *archive, *disk;
        struct archive_entry_linkresolver *links;
        Sink sink; /* n_bytes counts bytes of the tree */
        bool finished;
        char buffer[BLOCK_SIZE];
} Packer;

/* archive_write_fail() keeps libarchive from completing an unfinished archive, which must not look
 * complete. */
static void packer_free(Packer *p)
{
        if (!p->finished)
                (void) archive_write_fail(p->archive);
        archive_write_free(p->archive);
        archive_read_free(p->disk);
        archive_entry_linkresolver_free(p->links);
        free(p);
}
DEFINE_CLEANUP(Packer *, packer_free);
DEFINE_CLEANUP(struct archive_entry *, archive_entry_free);

static int fail_path(Packer *p, const char *path, int r)
{
        if (!p->job->failed[0])
                snprintf(p->job->failed, sizeof(p->job->failed), "'%.900s': %s", path, strerror(-r));
        return r;
}

static int fail_library(Packer *p, struct archive *a)
{
        int e = archive_errno(a);

        if (!p->job->failed[0])
                snprintf(p->job->failed, sizeof(p->job->failed), "%s: %s",
                         archive_error_string(a) ?: "The archive cannot be written",
                         e > 0 ? strerror(e) : "no reason is known");
        return e > 0 ? -e : -EIO;
}

/* libarchive adds all attributes of a file: keep only those that archive_wants_xattr(). */
static int filter_attributes(struct archive_entry *entry)
{
        _cleanup_(archive_entry_free_cleanup) struct archive_entry *copy = archive_entry_clone(entry);
        const char *name;
        const void *value;
        size_t size;

        OOM_CHECK(copy);
        archive_entry_xattr_clear(entry);
        (void) archive_entry_xattr_reset(copy);
        while (archive_entry_xattr_next(copy, &name, &value, &size) == ARCHIVE_OK)
                if (archive_wants_xattr(name))
                        archive_entry_xattr_add_entry(entry, name, value, size);
        return 0;
}

/* Owners are only numbers: names of the host's users have no meaning in another tree. */
static int describe(Packer *p, int path_fd, int fd, const struct stat *st, const char *path,
                    struct archive_entry *entry)
{
        char target[PATH_MAX], source[FD_PATH_MAX];

        archive_entry_copy_pathname(entry, path);
        if (fd >= 0) {
                archive_entry_copy_sourcepath(entry, fd_path(fd, source));
                if (archive_read_disk_entry_from_file(p->disk, entry, fd, st) < ARCHIVE_WARN)
                        return fail_library(p, p->disk);
        } else
                archive_entry_copy_stat(entry, st);
        if (S_ISLNK(st->st_mode)) {
                ssize_t n = readlinkat(path_fd, "", target, sizeof(target) - 1);
                if (n < 0)
                        return fail_path(p, path, -errno);
                target[n] = 0;
                archive_entry_copy_symlink(entry, target);
        }
        /* For a directory with a default access list and no access list, readers with libarchive 3.8 lose
         * the mode. Such a directory gets a mask that repeats the group permissions of its mode. */
        if (archive_entry_acl_types(entry) == ARCHIVE_ENTRY_ACL_TYPE_DEFAULT &&
            archive_entry_acl_add_entry(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, (int) (st->st_mode >> 3) & 7,
                                        ARCHIVE_ENTRY_ACL_MASK, -1, NULL) < ARCHIVE_WARN)
                return -ENOMEM;
        archive_entry_unset_atime(entry);
        archive_entry_unset_ctime(entry);
        archive_entry_unset_birthtime(entry);
        archive_entry_set_uname(entry, NULL);
        archive_entry_set_gname(entry, NULL);
        if (st->st_mtim.tv_sec >= 0 && (uint64_t) st->st_mtim.tv_sec > p->job->clamp_sec)
                archive_entry_set_mtime(entry, (time_t) p->job->clamp_sec, 0);
        return filter_attributes(entry);
}

/* Writes as many bytes as the header says, even if the size of the file changes meanwhile. */
static int pack_data(Packer *p, int fd, const char *path, int64_t size)
{
        int64_t data = 0; /* offset of the next data behind a hole */

        if (size > FILE_SIZE_MAX)
                return fail_path(p, path, -EFBIG);
        for (int64_t at = 0; at < size;) {
                ssize_t n = MIN(size - at, (int64_t) sizeof(p->buffer));
                if (at >= data)
                        data = lseek(fd, at, SEEK_DATA);
                if (data < 0)
                        data = errno == ENXIO ? size : at;
                if (at < data)
                        n = MIN((int64_t) n, data - at);
                else
                        n = pread(fd, p->buffer, n, at);
                if (n < 0)
                        return fail_path(p, path, -errno);
                /* a hole, or the file was truncated meanwhile */
                if (at < data || n == 0) {
                        n = n > 0 ? n : MIN(size - at, (int64_t) sizeof(p->buffer));
                        memset(p->buffer, 0, n);
                }
                if (archive_write_data(p->archive, p->buffer, n) < 0)
                        return fail_library(p, p->archive);
                at += n;
                p->sink.n_bytes += n;
                int r = p->job->progress ? p->job->progress(p->job->userdata, p->sink.n_bytes) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int read_names(int fd, Strv *ret)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_strv_ Strv names = NULL;
        int r = 0, copy_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        dir = copy_fd < 0 ? NULL : fdopendir(copy_fd);
        if (!dir) {
                fd_close(copy_fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = strv_append(&names, e->d_name);
        if (r < 0 || errno != 0)
                return r < 0 ? r : -errno;
        if (names)
                qsort(names, strv_length(names), sizeof(char *), compare_names);
        *ret = TAKE_PTR(names);
        return 0;
}

static int pack_one(Packer *p, int path_fd, const char *path, unsigned depth);

static int pack_children(Packer *p, int fd, const char *path, unsigned depth)
{
        _cleanup_strv_ Strv names = NULL;
        int r = depth == 0 ? -ELOOP : read_names(fd, &names);

        if (r < 0)
                return fail_path(p, path, r);
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *below = strf("%s/%s", path, *name);
                _cleanup_close_ int child_fd = openat(fd, *name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

                OOM_CHECK(below);
                if (child_fd < 0 && errno == ENOENT)
                        continue; /* removed meanwhile */
                r = child_fd < 0 ? fail_path(p, below, -errno) : pack_one(p, child_fd, below, depth - 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int pack_one(Packer *p, int path_fd, const char *path, unsigned depth)
{
        _cleanup_(archive_entry_free_cleanup) struct archive_entry *entry = archive_entry_new();
        struct archive_entry *written = entry, *spare = NULL;
        struct stat st;
        int r;

        OOM_CHECK(entry);
        if (fstat(path_fd, &st) < 0)
                return fail_path(p, path, -errno);
        if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) || S_ISSOCK(st.st_mode)) {
                p->job->n_left_out++;
                return 0;
        }
        _cleanup_close_ int fd = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)
                                         ? fd_reopen(path_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY)
                                         : -EBADF;
        if (fd < 0 && fd != -EBADF)
                return fail_path(p, path, fd);
        r = describe(p, path_fd, fd, &st, path, entry);
        if (r < 0)
                return r;
        /* For tar, the first name of a file carries the content, and archive_entry_linkify() returns the
         * same entry. */
        archive_entry_linkify(p->links, &written, &spare);
        if (archive_write_header(p->archive, entry) < ARCHIVE_WARN)
                return fail_library(p, p->archive);
        if (S_ISREG(st.st_mode) && archive_entry_size(entry) > 0)
                return pack_data(p, fd, path, archive_entry_size(entry));
        return S_ISDIR(st.st_mode) ? pack_children(p, fd, path, depth) : 0;
}

static int open_archive(Packer *p, ArchiveFormat format)
{
        if (archive_read_disk_set_behavior(p->disk, ARCHIVE_READDISK_NO_FFLAGS) < ARCHIVE_WARN)
                return fail_library(p, p->disk);
        if (archive_write_set_format_pax(p->archive) != ARCHIVE_OK ||
            archive_write_set_format_option(p->archive, "pax", "xattrheader", "SCHILY") < ARCHIVE_WARN ||
            !sink_add_filter(p->archive, format))
                return fail_library(p, p->archive);
        archive_entry_linkresolver_set_strategy(p->links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
        /* Do not pad the last block: a pipe has no blocks. */
        (void) archive_write_set_bytes_in_last_block(p->archive, 1);
        return archive_write_open(p->archive, &p->sink, NULL, sink_write_block, NULL) != ARCHIVE_OK
                       ? fail_library(p, p->archive)
                       : 0;
}

int archive_pack(ArchiveJob *job, int dir_fd, const char *prefix, ArchiveFormat format, int out_fd)
{
        _cleanup_(packer_free_cleanup) Packer *p = calloc(1, sizeof(Packer));
        int r;

        OOM_CHECK(p);
        job->failed[0] = 0;
        p->job = job;
        p->archive = archive_write_new();
        p->disk = archive_read_disk_new();
        p->links = archive_entry_linkresolver_new();
        if (!p->archive || !p->disk || !p->links)
                return -ENOMEM;
        p->sink = (Sink){ .job = job, .fd = out_fd };
        r = open_archive(p, format);
        if (r >= 0)
                r = pack_one(p, dir_fd, prefix, DEPTH_MAX);
        if (r >= 0)
                r = archive_write_close(p->archive) != ARCHIVE_OK ? fail_library(p, p->archive) : 0;
        p->finished = r >= 0;
        return r;
}

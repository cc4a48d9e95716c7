/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"

/* Trees of files as tar archives (POSIX pax, GNU, ustar), plain or compressed. Archives are not trusted:
 * paths in an archive are resolved below the root of the tree only. Entries that do not belong into the tree
 * of a machine are skipped and counted. */

/* Once more than UNPACK_FREE bytes are unpacked, they may be at most this many times the bytes read. */
#define UNPACK_RATIO_MAX   200U
#define UNPACK_FREE        (UINT64_C(1) << 30)
#define UNPACK_ENTRIES_MAX UINT64_C(10000000)
/* Limit of the memory for names of directories, whose times are set at the end. */
#define UNPACK_NAMES_MAX (64U * 1024U * 1024U)

typedef enum ArchiveFormat {
        ARCHIVE_TAR,
        ARCHIVE_TAR_GZIP,
        ARCHIVE_TAR_XZ,
        ARCHIVE_TAR_ZSTD,
        ARCHIVE_TAR_BZIP2,
        _ARCHIVE_FORMAT_MAX,
} ArchiveFormat;

/* Returns the format by its name in import1 ("uncompressed", "gzip", "xz", "zstd", "bzip2"), or by the
 * suffix of a file name ("x.tar.gz", "x.tgz"). -EINVAL if there is none. */
int archive_format_from_string(const char *s);
int archive_format_from_name(const char *name);

/* Whether archives carry an extended attribute: "user." without "user.overlay.", and file capabilities.
 * Access lists are handled apart from attributes. */
bool archive_wants_xattr(const char *name);

typedef struct ArchiveJob {
        /* Called now and then with the number of bytes read: of the archive when unpacking, of the tree or
         * disk when packing. A negative result ends the job, and is returned. */
        int (*progress)(void *userdata, uint64_t bytes);
        /* Called with all bytes of the archive as they are in the file, in order. When unpacking, bytes
         * behind the end of the archive are included, and another thread may be the caller. May be NULL. */
        void (*seen)(void *userdata, const void *data, size_t n);
        void *userdata;
        /* packing: files get no later modification time than this, in seconds since 1970; UINT64_MAX for no
         * limit */
        uint64_t clamp_sec;
        uint64_t n_left_out; /* device nodes, sockets and entries of unknown types */
        char failed[1024];   /* after an error: the file or the reason, for people */
} ArchiveJob;

/* Unpacks the tar archive in_fd, whose compression is detected, into the directory dir_fd, which nobody else
 * can reach. Restores content and holes, owners, modes, times, hard links, access lists, and the attributes
 * of archive_wants_xattr(). -EBADMSG if in_fd is no such archive, -EINVAL if a path leaves the tree, -EFBIG
 * if a limit is exceeded. */
int archive_unpack(ArchiveJob *job, int in_fd, int dir_fd);

/* The same for a single file, the disk of an image. Unpacks in_fd, whose compression is detected, to out_fd,
 * with holes in place of zeros. -EBADMSG if the input is empty, damaged or of another format, -EFBIG if a
 * limit is exceeded. archive_pack_file() writes a disk with the compression of `format`. An uncompressed
 * regular file gets holes. */
int archive_unpack_file(ArchiveJob *job, int in_fd, int out_fd);
int archive_pack_file(ArchiveJob *job, int in_fd, ArchiveFormat format, int out_fd);

/* Packs the tree dir_fd, with its entries sorted by name, below `prefix` in the archive: "." for a tree
 * without a name there. Equal trees give equal bytes. If a file changes meanwhile, the archive has the size
 * that it had at first. With a negative out_fd, only job->seen() gets the archive. */
int archive_pack(ArchiveJob *job, int dir_fd, const char *prefix, ArchiveFormat format, int out_fd);

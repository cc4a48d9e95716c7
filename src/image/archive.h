/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"

/* Trees of files as archives: tar (POSIX pax, GNU, ustar), as it is or compressed. An archive is hostile: what it names is
 * reached through the root of the tree only, and what does not belong into a tree of a machine is left out and counted. */

/* What is unpacked can be this many times what was read, once it is more than UNPACK_FREE bytes. */
#define UNPACK_RATIO_MAX   200U
#define UNPACK_FREE        (UINT64_C(1) << 30)
#define UNPACK_ENTRIES_MAX UINT64_C(10000000)
/* What the names of directories, whose times are set in the end, take in memory. */
#define UNPACK_NAMES_MAX (64U * 1024U * 1024U)

typedef enum ArchiveFormat {
        ARCHIVE_TAR,
        ARCHIVE_TAR_GZIP,
        ARCHIVE_TAR_XZ,
        ARCHIVE_TAR_ZSTD,
        ARCHIVE_TAR_BZIP2,
        _ARCHIVE_FORMAT_MAX,
} ArchiveFormat;

/* "uncompressed", "gzip", "xz", "zstd", "bzip2", as import1 has them; and the format that the end of a file name stands for,
 * "x.tar.gz" or "x.tgz". Negative for none. */
int archive_format_from_string(const char *s);
int archive_format_from_name(const char *name);

/* Whether an extended attribute means something elsewhere: those of users, but for what overlayfs keeps for itself, and file
 * capabilities. Access lists are no such here. */
bool archive_wants_xattr(const char *name);

typedef struct ArchiveJob {
        /* Called now and then, with the bytes of the archive that were read or written, or of the tree that were read. A
         * negative result ends the job with it. */
        int (*progress)(void *userdata, uint64_t bytes);
        /* Gets every byte of the archive as it is, in order; unpacking, what follows it as well, maybe in another thread. May be NULL. */
        void (*seen)(void *userdata, const void *data, size_t n);
        void *userdata;
        uint64_t
                clamp_sec; /* packing: no file is younger, in seconds since 1970; UINT64_MAX for as they are */
        uint64_t n_left_out; /* device nodes, sockets and entries of no known type */
        char failed[1024];   /* after an error: what it is about, or why, for people */
} ArchiveJob;

/* Unpacks the tar archive that in_fd has, of whatever compression, into the directory dir_fd, which nobody else can reach: content
 * and holes, owners, modes, times, hard links, extended attributes in "user." (but for those of overlayfs), file capabilities,
 * access lists. -EBADMSG for what is no such archive, -EINVAL for one with a path that leaves the tree, -EFBIG for one beyond the bounds. */
int archive_unpack(ArchiveJob *job, int in_fd, int dir_fd);

/* The same for a disk: what in_fd has is one file, of whatever compression, which is written to out_fd, with holes where there is
 * nothing but zeros. -EBADMSG for what is empty, damaged or of another format. And a disk, as it is or compressed; the format says by
 * what. A regular file gets holes. */
int archive_unpack_file(ArchiveJob *job, int in_fd, int out_fd);
int archive_pack_file(ArchiveJob *job, int in_fd, ArchiveFormat format, int out_fd);

/* Packs the tree dir_fd, its entries sorted by name, below `prefix` in the archive: "." for a tree that has no name there. The
 * same tree gives the same bytes. A file that changes meanwhile has the size that it had when it was begun. A negative out_fd is for who only wants
 * to have seen them. */
int archive_pack(ArchiveJob *job, int dir_fd, const char *prefix, ArchiveFormat format, int out_fd);

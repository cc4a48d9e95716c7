/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "basic/fd.h"
#include "basic/str.h"
#include "image/image.h"

/* mctl-worker: what the registry has done outside of its own sandbox and event loop, each time by a unit of its own; and mctl-transfer, the same for
 * what needs large libraries, for archives and downloads, whose loading would take longer than most work. The
 * request is one JSON object on standard input, from the registry, which has judged it:
 *
 *   {"operation": "copy-to", "leader": 968, "startTime": 4711, "source": "/etc/hosts", "destination": "/etc/hosts"}
 *
 * The answer is one JSON object on standard output: {"error": 0}, or a number of errno(3) with a "message". What is about an
 * image has a "name" and no leader. With "data", a descriptor comes over standard output, which is a socket. Lines such as
 * {"progress": 0.5, "bytes": 4096} may come before the answer. */

typedef struct Request {
        json_t *json;
        json_t *answer; /* for what there is to say but for errors */
        const char *source,
                *destination; /* absolute paths, on the host and in the machine; NULL where there is none */
        int data_fd;          /* that came with the request, or negative */
        int proc_fd;          /* /proc/PID of the leader */
        int root_fd;          /* its root */
        void *userdata;       /* of the operation, for what it has called */
} Request;

/* Carries a request out. On failure ret_error may get a text for people; the caller frees it. */
typedef int (*Operation)(const Request *request, char **ret_error);

/* What the program does; the last one has no name. */
typedef struct NamedOperation {
        const char *name;
        Operation run;
} NamedOperation;

extern const NamedOperation operations[];

/* copy.c: a tree from `source` to `destination`; with "replace", files that are there; with "into", below a destination that
 * is a directory. */
int work_copy_to(const Request *request, char **ret_error);
int work_copy_from(const Request *request, char **ret_error);

/* bind.c: the host's `source` on `destination`, with "readOnly" and "mkdir"; and what is mounted there away. */
int work_bind(const Request *request, char **ret_error);
int work_unbind(const Request *request, char **ret_error);

/* With "staging", this is the unit's own, which systemd removes with it. */
#define STAGING "/var/tmp"

/* inspect.c: what is on a disk: "hostname", "machineId", and as keys and values by turns "machineInfo" and "osRelease". */
int work_image_inspect(const Request *request, char **ret_error);

/* images.c: by "name", with "newName", "readOnly", "limit", and for a clean-up "all" and names to "keep". What others' tools ask for is "plain". */
int work_image_clone(const Request *request, char **ret_error);
int work_image_rename(const Request *request, char **ret_error);
int work_image_remove(const Request *request, char **ret_error);
int work_image_read_only(const Request *request, char **ret_error);
int work_image_limit(const Request *request, char **ret_error);
int work_image_enable_quotas(const Request *request, char **ret_error);
int work_image_clean(const Request *request, char **ret_error);

/* measure.c: of all "names" that are there, as "images" by name: "size" and "exclusive" in bytes on disk, and whom it "shares" that with. */
int work_image_measure(const Request *request, char **ret_error);

/* verify.c: what an image has now: its "digest", and of a disk with hashes, "rootHash" and whether it is "signed". */
int work_image_verify(const Request *request, char **ret_error);

/* mount.c: an image on the directory "path" of the host, with "readOnly", and away: all mounts of an image, or the one on a path. */
int work_image_mount(const Request *request, char **ret_error);
int work_image_unmount(const Request *request, char **ret_error);

/* measure.c: what would be free without an image, in bytes; UINT64_MAX where that is not known. */
uint64_t image_exclusive_size(int store_fd, const char *name);

/* Its bytes on disk, 0 when nobody knows. */
uint64_t image_size(int store_fd, const char *name);

/* import.c: an image "name" from what data_fd has, a tar archive, a disk or a directory; with "replace", in the place of one that is
 * there, and with "readOnly". */
int work_import_tar(const Request *request, char **ret_error);
int work_import_raw(const Request *request, char **ret_error);
int work_import_directory(const Request *request, char **ret_error);
/* pull.c: the same from a "url", with the "environment" of proxies; "verify" as trust.h has it. */
int work_pull_tar(const Request *request, char **ret_error);
int work_pull_raw(const Request *request, char **ret_error);
/* transfer.c: an image as an archive of that "format". */
int work_export_tar(const Request *request, char **ret_error);
int work_export_raw(const Request *request, char **ret_error);
/* A tree of a machine's as an archive on data_fd, and an archive unpacked into a directory of a machine. */
int work_pack(const Request *request, char **ret_error);
int work_unpack(const Request *request, char **ret_error);

/* Where an archive comes from: how much it is, 0 where nobody knows or the download does, and who wants to see its bytes, or NULL. */
typedef struct Stream {
        int fd;
        uint64_t size;
        const struct Download *download;
        void (*seen)(void *userdata, const void *data, size_t n);
        void *userdata;
} Stream;

/* transfer.c: what came with the request; and a stream unpacked into a directory, or a file for a disk. */
Stream stream_of_request(const Request *request);
int stream_unpack(const Request *request, Stream *stream, bool disk, int fd, char **ret_error);

/* import.c: the same for an image, whose archive may have the tree in a directory of its own. */
int import_stream(const Request *request, Stream *stream, bool disk, int image_fd, char **ret_error);

/* make.c: makes an image "name" of that type, which `fill` fills: an empty directory, or an empty file. Nobody sees it before it is
 * whole and on disk. With "replace", what has the name goes, and with "readOnly" it is that. */
typedef int (*Fill)(const Request *request, int image_fd, char **ret_error);
int make_image(const Request *request, ImageType type, Fill fill, char **ret_error);

/* snapshots.c: by "name" and "snapshot", "" for a name that is the time, or for the last one; the leader is that of a machine that is to be held
 * meanwhile; whatever becomes of us, "mctl-worker thaw" ends that. diff.c: what has changed since, as "changes" by path. */
int work_image_snapshot(const Request *request, char **ret_error);
int work_snapshot_rename(const Request *request, char **ret_error);
int work_snapshot_remove(const Request *request, char **ret_error);
int work_image_diff(const Request *request, char **ret_error);

/* switch.c: an image gets what a "snapshot" of it had: as it is where nothing runs from it; or, whoever runs from it, as what
 * it has the next time, and what it had is its snapshot "keep". That may be what another "image" has, too. */
int work_image_rollback(const Request *request, char **ret_error);
int work_image_switch(const Request *request, char **ret_error);

/* snapshots.c: lets the machine of the leader go on, which a worker that was killed had frozen. */
int work_thaw(const Request *request, char **ret_error);

/* images.c: looks for a machine that runs from an image: 1, and its name, which the caller frees. Under the lock that a start takes. */
int images_find_user(int run_fd, const char *name, char **ret);

/* images.c: locks an image whose contents another one is to have, too: -EBUSY, with a text, where somebody writes to it. Under the same lock. */
struct StoreLock;
int images_lock_source(int run_fd, const char *name, struct StoreLock *ret, char **ret_error);

/* images.c: the same for one that runs from one of these layers or subvolumes, whatever its image has now. */
int images_find_tree_user(int run_fd, const Strv trees, char **ret);

/* images.c: -EBUSY, with a text, where an image is mounted on a directory of the host. */
int images_check_mounts(int store_fd, const char *name, char **ret_error);

/* images.c: calls `change` while no machine that runs from the image can start; -EBUSY where one has. */
int while_idle(const char *name, int (*change)(int store_fd, const char *name, void *userdata), int store_fd,
               void *userdata, char **ret_error);

/* copy.c: opens the machine's `source`; -E… with a text. And copies a tree between the host and the machine. */
int open_source(const Request *request, char **ret_error);
int copy_tree(const Request *request, bool inward, int source_fd, int parent_fd, const char *name,
              char **ret_error);

/* Whether somebody wants us to end; what blocks is interrupted then. */
bool is_cancelled(void);

/* Tells whoever waits how much is done, in bytes. */
void tell_progress(uint64_t bytes, uint64_t size);

/* Whether the request has that flag, and what text it has, "" for none. */
const char *request_text(const Request *request, const char *key);
bool request_flag(const Request *request, const char *key);

/* Parts an absolute path into a directory and a name: "/a/b" into "/a" and "b". -EINVAL where it has no name that could be
 * made, as "/" and "/a/..". The caller frees both. */
int path_split(const char *path, char **ret_parent, char **ret_name);

/* Sets a text for people, and returns `r`. */
int set_failure(char **ret_error, int r, const char *format, ...) _printf_(3, 4);

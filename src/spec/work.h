/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/schema.h"

/* Work that the manager gives to other processes: its names, the programs that do it, and the structs of
 * requests and answers. Each struct has a schema, by which schema.c writes and reads its JSON form:
 *
 *   {"work": "copy-to", "request": {"leader": 968, "startTime": 4711, "source": "/etc/hosts"}}
 *   {"error": 0, "answer": {"snapshot": "before-work"}}
 *   {"error": 17, "message": "There is a snapshot 'before-work' already."}
 *
 * Lines such as {"progress": 0.5, "bytes": 4096} may come before the answer. */

typedef enum Work {
        /* in a running machine */
        WORK_COPY_TO,
        WORK_COPY_FROM,
        WORK_PACK,
        WORK_UNPACK,
        WORK_BIND,
        WORK_UNBIND,
        WORK_THAW,
        WORK_OS_RELEASE,
        /* a machine that is about to be started */
        WORK_PREPARE,
        /* images of the store */
        WORK_LIST,
        WORK_LIST_SNAPSHOTS,
        WORK_INSPECT,
        WORK_MEASURE,
        WORK_VERIFY,
        WORK_DIFF,
        WORK_CLONE,
        WORK_RENAME,
        WORK_REMOVE,
        WORK_READ_ONLY,
        WORK_LIMIT,
        WORK_ENABLE_QUOTAS,
        WORK_CLEAN,
        WORK_SWEEP, /* remove leftovers of processes that were killed */
        WORK_MOUNT,
        WORK_UNMOUNT,
        WORK_SNAPSHOT,
        WORK_ROLL_BACK,
        WORK_REPLACE,
        WORK_REVERT,
        WORK_RENAME_SNAPSHOT,
        WORK_REMOVE_SNAPSHOT,
        /* archives and downloads */
        WORK_IMPORT_TAR,
        WORK_IMPORT_RAW,
        WORK_IMPORT_DIRECTORY,
        WORK_PULL_TAR,
        WORK_PULL_RAW,
        WORK_EXPORT_TAR,
        WORK_EXPORT_RAW,
        /* updates of machines */
        WORK_UPDATE,
        WORK_UNDO_UPDATE,
        _WORK_MAX,
} Work;

/* The program that does the work. mctl-transfer has the libraries for archives and downloads, and so starts
 * more slowly than mctl-worker. mctl-update is itself a client of the registry. A child of the manager does
 * work that only looks. */
typedef enum WorkProgram {
        WORK_BY_WORKER,
        WORK_BY_TRANSFER,
        WORK_BY_UPDATE,
        WORK_BY_CHILD,
} WorkProgram;

typedef struct WorkType {
        const char *name;
        WorkProgram program;
        const Schema *request, *answer; /* NULL: no request, or no answer */
        const char *what;               /* for messages: "Failed to WHAT 'NAME'" */
        bool machine;                   /* the request begins with a Target */
        bool data;                      /* a descriptor comes with the request */
        bool staging; /* the unit has a /var/tmp of its own, which systemd removes with it */
        bool network; /* the unit has the network of the host */
        bool watched; /* the unit ends when the caller goes away */
        bool frees;   /* the work frees space: in a full store, it is repeated with the space of reserve.h */
} WorkType;

extern const WorkType work_types[_WORK_MAX];

/* The schemas of answers that calls return as well. */
extern const Schema snapshots_schema, measure_schema, verify_schema, diff_schema, clean_schema,
        snapshot_schema, inspect_schema, os_release_schema, update_schema, remove_schema;

/* Returns the Work with this name, or -EINVAL. */
int work_from_string(const char *name);

/* Describes work for its unit; `name` is the name of its object, or NULL. The caller frees the text. NULL
 * when out of memory. */
char *work_describe(Work work, const char *name);

/* A running machine: its leader, and the start time of the leader in clock ticks since boot. */
typedef struct Target {
        int32_t leader;
        uint64_t start_time;
} Target;

/* Source and destination are absolute paths, one on the host and one in the machine. A missing destination
 * is the path of the source. */
typedef struct CopyRequest {
        Target target;
        char *source, *destination;
        bool replace; /* replace existing files */
        bool into;    /* copy into the destination if it is a directory */
} CopyRequest;

typedef struct BindRequest {
        Target target;
        char *source, *destination;
        bool read_only, mkdir;
} BindRequest;

typedef struct ThawRequest {
        Target target;
} ThawRequest;

/* Asks for the os-release(5) of a machine. The machine controls its files, so a read may never end. */
typedef struct OsReleaseRequest {
        Target target;
        uint64_t reader; /* the user with whose rights the file is read: what is mounted there may be any
                            file */
} OsReleaseRequest;

/* Asks for the spec of a machine, with the settings of a call. */
typedef struct PrepareRequest {
        char *spec; /* JSON */
        bool plan;  /* the plan of the launcher as well */
} PrepareRequest;

/* Asks for all images of the store, or for the image `name`. */
typedef struct ListRequest {
        char *name;
        bool details;  /* with operating system, snapshots and layers */
        bool metadata; /* with host name, machine ID, machine-info and os-release */
} ListRequest;

/* For work that needs only the name of an image. */
typedef struct ImageRequest {
        char *name;
} ImageRequest;

typedef struct MeasureRequest {
        Strv names;
} MeasureRequest;

typedef struct CloneRequest {
        char *name, *new_name;
        uint64_t flags; /* STORE_… of store.h */
} CloneRequest;

typedef struct RenameRequest {
        char *name, *new_name;
} RenameRequest;

typedef struct ReadOnlyRequest {
        char *name;
        bool read_only;
} ReadOnlyRequest;

typedef struct LimitRequest {
        char *name;
        uint64_t limit; /* in bytes, UINT64_MAX for no limit */
        bool plain;     /* switch quotas on if they are off, as systemd's tools do */
} LimitRequest;

typedef struct CleanRequest {
        bool all;           /* all images, not only hidden images */
        bool keep_of_files; /* keep images that machines with a file would be started from */
        bool dry_run;
        Strv keep;
} CleanRequest;

typedef struct MountRequest {
        char *name, *path;
        bool read_only;
} MountRequest;

typedef struct UnmountRequest {
        char *where; /* a path, or the name of an image */
} UnmountRequest;

/* If `snapshot` is missing, the time becomes the name of a new snapshot, and other work is about the last
 * snapshot. While a snapshot is made, the machine that writes to the image is frozen. After the worker has
 * ended in any way, "mctl-worker thaw" thaws the machine. */
typedef struct SnapshotRequest {
        Target target; /* the machine to freeze; no leader for none */
        char *name, *snapshot;
        char *writer; /* the machine that may write to the image meanwhile */
} SnapshotRequest;

/* Replaces the content of image `name` by that of `image`, or by that of `snapshot`. Snapshot `keep` keeps
 * the former content. */
typedef struct SwitchRequest {
        char *name, *image, *snapshot, *keep;
} SwitchRequest;

typedef struct RenameSnapshotRequest {
        char *name, *snapshot, *new_name;
} RenameSnapshotRequest;

typedef struct TransferRequest {
        char *name, *format;
        bool replace, read_only;
        char *url, *verify;
        Strv environment; /* variables for proxies */
        int64_t clamp;    /* latest time of files in seconds since 1970, plus one; 0 for no limit */
} TransferRequest;

/* Updates machine `name` to `image`. Within `timeout` µs, the machine must be up, and the command `health`
 * must end with status 0. An empty command is not run. */
typedef struct UpdateRequest {
        char *name, *image, *health;
        uint64_t timeout;
} UpdateRequest;

/* --- answers ------------------------------------------------------------------------------------------- */

/* A spec after all files of the machine were read, and after it was validated. */
typedef struct PrepareAnswer {
        char *spec;       /* JSON with all settings */
        char *root;       /* the path of the image */
        bool disk, block; /* the image is not a directory; the image is a device */
        char *busy;       /* why the machine cannot run from the image now, for people; or NULL */
        Strv warnings;
        char *plan; /* JSON */
} PrepareAnswer;

typedef struct OsReleaseAnswer {
        Strv fields; /* key, value, key, value, and so on */
} OsReleaseAnswer;

typedef struct ImageEntry {
        char *name, *type, *path;
        bool read_only;
        uint64_t created, modified; /* µs since 1970, or 0 if unknown */
        uint64_t size;              /* bytes on disk, UINT64_MAX if files would have to be counted */
        char *os;
        bool versioned; /* the image has snapshots, or can have them */
        uint64_t n_snapshots, n_layers;
        char *base;
        char *hostname;
        char machine_id[33];
        Strv machine_info, os_release; /* key, value, key, value, and so on */
} ImageEntry;

typedef struct ListAnswer {
        ImageEntry *images;
        size_t n_images;
} ListAnswer;

typedef struct SnapshotEntry {
        char *name;
        uint64_t time; /* µs since 1970 */
} SnapshotEntry;

typedef struct SnapshotsAnswer {
        SnapshotEntry *snapshots;
        size_t n_snapshots;
} SnapshotsAnswer;

typedef struct InspectAnswer {
        char *hostname;
        char machine_id[33];
        Strv machine_info, os_release;
} InspectAnswer;

typedef struct ImageSize {
        char *name;
        uint64_t size, exclusive, limit; /* bytes; UINT64_MAX for no limit */
        Strv shares;                     /* images that share the rest of the data */
} ImageSize;

typedef struct MeasureAnswer {
        ImageSize *images;
        size_t n_images;
} MeasureAnswer;

typedef struct VerifyAnswer {
        char *digest, *root_hash;
        bool is_signed;
} VerifyAnswer;

typedef struct Difference {
        char *kind, *path; /* "A", "C" or "D" */
} Difference;

typedef struct DiffAnswer {
        Difference *changes;
        size_t n_changes;
} DiffAnswer;

typedef struct Removed {
        char *name;
        uint64_t bytes; /* that no other image shared */
} Removed;

typedef struct CleanAnswer {
        Removed *removed;
        size_t n_removed;
} CleanAnswer;

typedef struct RemoveAnswer {
        char *left; /* what of a removed image could not be deleted yet, for people; NULL for nothing */
} RemoveAnswer;

typedef struct SnapshotAnswer {
        char *snapshot;
} SnapshotAnswer;

typedef struct TransferAnswer {
        uint64_t left_out; /* number of device nodes and sockets that were left out */
        char *digest;
} TransferAnswer;

/* The image of the machine, the snapshot with the former version, and whether the machine runs. */
typedef struct UpdateAnswer {
        char *image, *snapshot;
        bool running;
} UpdateAnswer;

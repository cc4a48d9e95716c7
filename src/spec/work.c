/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/work.h"

#define TEXT(type, key, member)   FIELD(type, FIELD_STRING, key, member)
#define FLAG(type, key, member)   FIELD(type, FIELD_BOOL, key, member)
#define NUMBER(type, key, member) FIELD(type, FIELD_UINT64, key, member)
#define LIST(type, key, member)   FIELD(type, FIELD_STRINGS, key, member)
#define TARGET(type) \
        FIELD(type, FIELD_INT, "leader", target.leader), NUMBER(type, "startTime", target.start_time)

static DEFINE_SCHEMA(copy_request, CopyRequest, TARGET(CopyRequest), TEXT(CopyRequest, "source", source),
                     TEXT(CopyRequest, "destination", destination), FLAG(CopyRequest, "replace", replace),
                     FLAG(CopyRequest, "into", into));
static DEFINE_SCHEMA(bind_request, BindRequest, TARGET(BindRequest), TEXT(BindRequest, "source", source),
                     TEXT(BindRequest, "destination", destination), FLAG(BindRequest, "readOnly", read_only),
                     FLAG(BindRequest, "mkdir", mkdir));
static DEFINE_SCHEMA(thaw_request, ThawRequest, TARGET(ThawRequest));
static DEFINE_SCHEMA(os_release_request, OsReleaseRequest, TARGET(OsReleaseRequest),
                     NUMBER(OsReleaseRequest, "reader", reader));
DEFINE_SCHEMA(os_release_schema, OsReleaseAnswer, FIELD(OsReleaseAnswer, FIELD_PAIRS, "fields", fields));
static DEFINE_SCHEMA(prepare_request, PrepareRequest, TEXT(PrepareRequest, "spec", spec),
                     FLAG(PrepareRequest, "plan", plan));
static DEFINE_SCHEMA(prepare_answer, PrepareAnswer, TEXT(PrepareAnswer, "spec", spec),
                     TEXT(PrepareAnswer, "root", root), FLAG(PrepareAnswer, "disk", disk),
                     FLAG(PrepareAnswer, "block", block), TEXT(PrepareAnswer, "busy", busy),
                     FIELD(PrepareAnswer, FIELD_STRINGS, "warnings", warnings),
                     TEXT(PrepareAnswer, "plan", plan));
static DEFINE_SCHEMA(list_request, ListRequest, TEXT(ListRequest, "name", name),
                     FLAG(ListRequest, "details", details), FLAG(ListRequest, "metadata", metadata));
static DEFINE_SCHEMA(image_request, ImageRequest, TEXT(ImageRequest, "name", name));
static DEFINE_SCHEMA(measure_request, MeasureRequest, LIST(MeasureRequest, "names", names));
static DEFINE_SCHEMA(clone_request, CloneRequest, TEXT(CloneRequest, "name", name),
                     TEXT(CloneRequest, "newName", new_name), NUMBER(CloneRequest, "flags", flags));
static DEFINE_SCHEMA(rename_request, RenameRequest, TEXT(RenameRequest, "name", name),
                     TEXT(RenameRequest, "newName", new_name));
static DEFINE_SCHEMA(read_only_request, ReadOnlyRequest, TEXT(ReadOnlyRequest, "name", name),
                     FLAG(ReadOnlyRequest, "readOnly", read_only));
static DEFINE_SCHEMA(limit_request, LimitRequest, TEXT(LimitRequest, "name", name),
                     NUMBER(LimitRequest, "limit", limit), FLAG(LimitRequest, "plain", plain));
static DEFINE_SCHEMA(clean_request, CleanRequest, FLAG(CleanRequest, "all", all),
                     FLAG(CleanRequest, "keepOfFiles", keep_of_files), FLAG(CleanRequest, "dryRun", dry_run),
                     LIST(CleanRequest, "keep", keep));
static DEFINE_SCHEMA(mount_request, MountRequest, TEXT(MountRequest, "name", name),
                     TEXT(MountRequest, "path", path), FLAG(MountRequest, "readOnly", read_only));
static DEFINE_SCHEMA(unmount_request, UnmountRequest, TEXT(UnmountRequest, "where", where));
static DEFINE_SCHEMA(snapshot_request, SnapshotRequest, TARGET(SnapshotRequest),
                     TEXT(SnapshotRequest, "name", name), TEXT(SnapshotRequest, "snapshot", snapshot),
                     TEXT(SnapshotRequest, "writer", writer));
static DEFINE_SCHEMA(switch_request, SwitchRequest, TEXT(SwitchRequest, "name", name),
                     TEXT(SwitchRequest, "image", image), TEXT(SwitchRequest, "snapshot", snapshot),
                     TEXT(SwitchRequest, "keep", keep));
static DEFINE_SCHEMA(rename_snapshot_request, RenameSnapshotRequest,
                     TEXT(RenameSnapshotRequest, "name", name),
                     TEXT(RenameSnapshotRequest, "snapshot", snapshot),
                     TEXT(RenameSnapshotRequest, "newName", new_name));
static DEFINE_SCHEMA(transfer_request, TransferRequest, TEXT(TransferRequest, "name", name),
                     TEXT(TransferRequest, "format", format), FLAG(TransferRequest, "replace", replace),
                     FLAG(TransferRequest, "readOnly", read_only), TEXT(TransferRequest, "url", url),
                     TEXT(TransferRequest, "verify", verify),
                     LIST(TransferRequest, "environment", environment),
                     FIELD(TransferRequest, FIELD_INT64, "clamp", clamp));

static DEFINE_SCHEMA(image_entry, ImageEntry, TEXT(ImageEntry, "name", name), TEXT(ImageEntry, "type", type),
                     TEXT(ImageEntry, "path", path), FLAG(ImageEntry, "readOnly", read_only),
                     NUMBER(ImageEntry, "created", created), NUMBER(ImageEntry, "modified", modified),
                     NUMBER(ImageEntry, "size", size), TEXT(ImageEntry, "os", os),
                     FLAG(ImageEntry, "versioned", versioned), NUMBER(ImageEntry, "snapshots", n_snapshots),
                     NUMBER(ImageEntry, "layers", n_layers), TEXT(ImageEntry, "base", base),
                     TEXT(ImageEntry, "hostname", hostname),
                     FIELD(ImageEntry, FIELD_ID128, "machineId", machine_id),
                     FIELD(ImageEntry, FIELD_PAIRS, "machineInfo", machine_info),
                     FIELD(ImageEntry, FIELD_PAIRS, "osRelease", os_release));
static DEFINE_SCHEMA(list_answer, ListAnswer,
                     FIELD_LIST(ListAnswer, "images", images, n_images, &image_entry));
static DEFINE_SCHEMA(snapshot_entry, SnapshotEntry, TEXT(SnapshotEntry, "name", name),
                     NUMBER(SnapshotEntry, "time", time));
DEFINE_SCHEMA(snapshots_schema, SnapshotsAnswer,
              FIELD_LIST(SnapshotsAnswer, "snapshots", snapshots, n_snapshots, &snapshot_entry));
DEFINE_SCHEMA(inspect_schema, InspectAnswer, TEXT(InspectAnswer, "hostname", hostname),
              FIELD(InspectAnswer, FIELD_ID128, "machineId", machine_id),
              FIELD(InspectAnswer, FIELD_PAIRS, "machineInfo", machine_info),
              FIELD(InspectAnswer, FIELD_PAIRS, "osRelease", os_release));
static DEFINE_SCHEMA(image_size, ImageSize, TEXT(ImageSize, "name", name), NUMBER(ImageSize, "size", size),
                     NUMBER(ImageSize, "exclusive", exclusive), NUMBER(ImageSize, "limit", limit),
                     LIST(ImageSize, "shares", shares));
DEFINE_SCHEMA(measure_schema, MeasureAnswer,
              FIELD_LIST(MeasureAnswer, "images", images, n_images, &image_size));
DEFINE_SCHEMA(verify_schema, VerifyAnswer, TEXT(VerifyAnswer, "digest", digest),
              TEXT(VerifyAnswer, "rootHash", root_hash), FLAG(VerifyAnswer, "signed", is_signed));
static DEFINE_SCHEMA(difference, Difference, TEXT(Difference, "kind", kind), TEXT(Difference, "path", path));
DEFINE_SCHEMA(diff_schema, DiffAnswer, FIELD_LIST(DiffAnswer, "changes", changes, n_changes, &difference));
static DEFINE_SCHEMA(removed, Removed, TEXT(Removed, "name", name), NUMBER(Removed, "bytes", bytes));
DEFINE_SCHEMA(clean_schema, CleanAnswer, FIELD_LIST(CleanAnswer, "removed", removed, n_removed, &removed));
DEFINE_SCHEMA(remove_schema, RemoveAnswer, TEXT(RemoveAnswer, "left", left));
DEFINE_SCHEMA(snapshot_schema, SnapshotAnswer, TEXT(SnapshotAnswer, "snapshot", snapshot));
static DEFINE_SCHEMA(transfer_answer, TransferAnswer, NUMBER(TransferAnswer, "leftOut", left_out),
                     TEXT(TransferAnswer, "digest", digest));

static DEFINE_SCHEMA(update_request, UpdateRequest, TEXT(UpdateRequest, "name", name),
                     TEXT(UpdateRequest, "image", image), TEXT(UpdateRequest, "health", health),
                     NUMBER(UpdateRequest, "timeoutUSec", timeout));
DEFINE_SCHEMA(update_schema, UpdateAnswer, TEXT(UpdateAnswer, "image", image),
              TEXT(UpdateAnswer, "snapshot", snapshot), FLAG(UpdateAnswer, "running", running));

/* A request about an image begins with the image's name, or with a target. */
const WorkType work_types[_WORK_MAX] = {
        [WORK_COPY_TO] = { "copy-to", WORK_BY_WORKER, &copy_request, .what = "copy to machine",
                           .machine = true },
        [WORK_COPY_FROM] = { "copy-from", WORK_BY_WORKER, &copy_request, .what = "copy from machine",
                             .machine = true },
        [WORK_PACK] = { "pack", WORK_BY_TRANSFER, &copy_request, .what = "copy from machine",
                        .machine = true, .data = true, .staging = true, .watched = true },
        [WORK_UNPACK] = { "unpack", WORK_BY_TRANSFER, &copy_request, .what = "copy to machine",
                          .machine = true, .data = true, .staging = true, .watched = true },
        [WORK_BIND] = { "bind", WORK_BY_WORKER, &bind_request, .what = "bind into machine",
                        .machine = true },
        [WORK_UNBIND] = { "unbind", WORK_BY_WORKER, &bind_request, .what = "unmount in machine",
                          .machine = true },
        [WORK_THAW] = { "thaw", WORK_BY_WORKER, &thaw_request, .what = "thaw machine", .machine = true },

        [WORK_OS_RELEASE] = { "os-release", WORK_BY_CHILD, &os_release_request, &os_release_schema,
                              "read the operating system of machine", .machine = true },
        [WORK_PREPARE] = { "prepare", WORK_BY_CHILD, &prepare_request, &prepare_answer, "start machine" },
        [WORK_LIST] = { "list", WORK_BY_CHILD, &list_request, &list_answer, "list images" },
        [WORK_LIST_SNAPSHOTS] = { "list-snapshots", WORK_BY_CHILD, &image_request, &snapshots_schema,
                                  "list the snapshots of image" },
        [WORK_INSPECT] = { "inspect", WORK_BY_WORKER, &image_request, &inspect_schema, "look into image",
                           .staging = true },
        [WORK_MEASURE] = { "measure", WORK_BY_WORKER, &measure_request, &measure_schema, "measure images" },
        [WORK_VERIFY] = { "verify", WORK_BY_TRANSFER, &image_request, &verify_schema, "verify image",
                          .watched = true },
        [WORK_DIFF] = { "diff", WORK_BY_WORKER, &snapshot_request, &diff_schema, "compare image" },
        [WORK_CLONE] = { "clone", WORK_BY_WORKER, &clone_request, .what = "clone image" },
        [WORK_RENAME] = { "rename", WORK_BY_WORKER, &rename_request, .what = "rename image" },
        [WORK_REMOVE] = { "remove", WORK_BY_WORKER, &image_request, &remove_schema, "remove image",
                          .frees = true },
        [WORK_READ_ONLY] = { "read-only", WORK_BY_WORKER, &read_only_request, .what = "change image" },
        [WORK_LIMIT] = { "limit", WORK_BY_WORKER, &limit_request, .what = "limit image" },
        [WORK_ENABLE_QUOTAS] = { "enable-quotas", WORK_BY_WORKER, &image_request,
                                 .what = "switch quotas on for image" },
        [WORK_CLEAN] = { "clean", WORK_BY_WORKER, &clean_request, &clean_schema, "clean the store of images",
                         .frees = true },
        [WORK_SWEEP] = { "sweep", WORK_BY_WORKER, .what = "sweep the store of images" },
        [WORK_MOUNT] = { "mount", WORK_BY_WORKER, &mount_request, .what = "mount image" },
        [WORK_UNMOUNT] = { "unmount", WORK_BY_WORKER, &unmount_request, .what = "unmount" },
        [WORK_SNAPSHOT] = { "snapshot", WORK_BY_WORKER, &snapshot_request, &snapshot_schema,
                            "make a snapshot of image" },
        [WORK_ROLL_BACK] = { "rollback", WORK_BY_WORKER, &snapshot_request, &snapshot_schema,
                             "roll back image", .frees = true },
        [WORK_REPLACE] = { "replace", WORK_BY_WORKER, &switch_request, &snapshot_schema, "replace image" },
        [WORK_REVERT] = { "revert", WORK_BY_WORKER, &switch_request, &snapshot_schema, "revert image",
                          .frees = true },
        [WORK_RENAME_SNAPSHOT] = { "rename-snapshot", WORK_BY_WORKER, &rename_snapshot_request,
                                   .what = "rename a snapshot of image" },
        [WORK_REMOVE_SNAPSHOT] = { "remove-snapshot", WORK_BY_WORKER, &snapshot_request,
                                   .what = "remove a snapshot of image", .frees = true },

        [WORK_IMPORT_TAR] = { "import-tar", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                              .data = true },
        [WORK_IMPORT_RAW] = { "import-raw", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                              .data = true },
        [WORK_IMPORT_DIRECTORY] = { "import-fs", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                                    .data = true },
        [WORK_PULL_TAR] = { "pull-tar", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                            .network = true },
        [WORK_PULL_RAW] = { "pull-raw", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                            .network = true },
        [WORK_EXPORT_TAR] = { "export-tar", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                              .data = true },
        [WORK_EXPORT_RAW] = { "export-raw", WORK_BY_TRANSFER, &transfer_request, &transfer_answer,
                              .data = true },

        [WORK_UPDATE] = { "update", WORK_BY_UPDATE, &update_request, &update_schema, "update machine" },
        [WORK_UNDO_UPDATE] = { "undo-update", WORK_BY_UPDATE, &image_request,
                               .what = "undo the update of image" },
};

int work_from_string(const char *name)
{
        for (int work = 0; work < _WORK_MAX; work++)
                if (streq(work_types[work].name, name))
                        return work;
        return -EINVAL;
}

char *work_describe(Work work, const char *name)
{
        const WorkType *type = work_types + work;

        return name ? strf("%s '%s'", type->what ?: type->name, name) : strdup(type->what ?: type->name);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/image-change.h"

#include <limits.h>

#include "manager/images.h"
#include "manager/machine.h"
#include "manager/transfer.h"
#include "manager/worker.h"
#include "store/image.h"
#include "store/store.h"

#define ARGUMENT(type, key, member) FIELD(ImageArguments, type, key, member)
#define TEXT(key, member)           ARGUMENT(FIELD_STRING, key, member)

static DEFINE_SCHEMA(clone_arguments, ImageArguments, TEXT("newName", new_name),
                     ARGUMENT(FIELD_BOOL, "readOnly", read_only), ARGUMENT(FIELD_UINT64, "flags", flags));
static DEFINE_SCHEMA(rename_arguments, ImageArguments, TEXT("newName", new_name));
static DEFINE_SCHEMA(mark_arguments, ImageArguments, ARGUMENT(FIELD_BOOL, "readOnly", read_only));
static DEFINE_SCHEMA(limit_arguments, ImageArguments, ARGUMENT(FIELD_UINT64, "limit", limit));
static DEFINE_SCHEMA(snapshot_arguments, ImageArguments, TEXT("snapshot", snapshot));
static DEFINE_SCHEMA(rename_snapshot_arguments, ImageArguments, TEXT("snapshot", snapshot),
                     TEXT("newName", new_name));
static DEFINE_SCHEMA(replace_arguments, ImageArguments, TEXT("image", image), TEXT("keep", keep));
static DEFINE_SCHEMA(revert_arguments, ImageArguments, TEXT("snapshot", snapshot), TEXT("keep", keep));
static DEFINE_SCHEMA(clean_arguments, CleanArguments, FIELD(CleanArguments, FIELD_STRING, "mode", mode),
                     FIELD(CleanArguments, FIELD_BOOL, "dryRun", dry_run));
static DEFINE_SCHEMA(mount_arguments, MountArguments, FIELD(MountArguments, FIELD_STRING, "path", path),
                     FIELD(MountArguments, FIELD_BOOL, "readOnly", read_only));
static DEFINE_SCHEMA(unmount_arguments, UnmountArguments,
                     FIELD(UnmountArguments, FIELD_STRING, "where", where));
static DEFINE_SCHEMA(update_arguments, UpdateImageArguments,
                     FIELD(UpdateImageArguments, FIELD_STRING, "newName", new_name),
                     FIELD(UpdateImageArguments, FIELD_CHOICE, "readOnly", read_only),
                     FIELD(UpdateImageArguments, FIELD_UINT64, "limit", limit));
static DEFINE_SCHEMA(pool_arguments, ImageArguments, ARGUMENT(FIELD_UINT64, "limit", limit));

/* --- what is judged ------------------------------------------------------------------------------------ */

/* Each function checks names. For an invalid name, it answers the call and returns 0. */
static int judge_snapshot_name(Call *call, const char *name)
{
        if (isempty(name) || image_name_valid(name))
                return 1;
        _cleanup_free_ char *shown = call_show(name);
        call_fail(call, ERROR_INVALID_ARGUMENT, "No snapshot can be called '%s'.", strna(shown));
        return 0;
}

static int judge_new_name(Call *call, const char *name)
{
        _cleanup_free_ char *shown = call_show(name ?: "");

        if (!name || !image_new_name_valid(name))
                call_fail(call, ERROR_INVALID_ARGUMENT, "No image of the store can be called '%s'.",
                          strna(shown));
        else if (transfer_is_making(call->manager, name))
                call_fail(call, ERROR_BUSY, "A transfer of image '%s' is running already.", name);
        else
                return 1;
        return 0;
}

static int judge_target(Call *call, const void *arguments)
{
        (void) arguments;
        return images_judge_target(call, true);
}

/* An image cannot be renamed or removed while a machine runs from it. */
static int judge_idle(Call *call)
{
        const Machine *user = images_find_user(call->manager, call->target);

        if (!user)
                return 1;
        call_fail(call, ERROR_BUSY, "Machine '%s' runs from image '%s'.", user->name, call->target);
        return 0;
}

static int image_details(const Call *call, const void *arguments, Strv *ret)
{
        (void) arguments;
        return strv_extend(ret, (char *[]){ (char *) "image", call->target, NULL });
}

/* A user who may change an image may not be allowed to read the contents of another image. */
static int replace_details(const Call *call, const void *arguments, Strv *ret)
{
        const ImageArguments *a = arguments;

        return strv_extend(ret, (char *[]){ (char *) "image", call->target, (char *) "source",
                                            a->image ?: (char *) "", NULL });
}

static int work(Call *call, Work work, const void *request)
{
        return worker_answer(call, &(WorkerCall){ .work = work, .request = request, .name = call->target });
}

/* --- images -------------------------------------------------------------------------------------------- */

static int clone_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;
        bool plain = call->family == FAMILY_SYSTEMD;
        int r = judge_new_name(call, a->new_name);

        (void) m;
        if (r <= 0)
                return r;
        /* Clients of systemd expect plain directories and subvolumes, so a clone for them is complete. */
        uint64_t flags = (a->flags & STORE_CLONE_FLAGS) | (a->read_only ? STORE_READ_ONLY : 0) |
                         (plain ? STORE_PLAIN | STORE_KEEP_IDENTITY : 0);
        return work(call, WORK_CLONE, &(CloneRequest){ call->target, a->new_name, flags });
}

static int rename_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;
        int r = judge_idle(call);

        (void) m;
        if (r > 0)
                r = judge_new_name(call, a->new_name);
        return r <= 0 ? r : work(call, WORK_RENAME, &(RenameRequest){ call->target, a->new_name });
}

static int remove_image(Call *call, Machine *m, const void *arguments)
{
        int r = judge_idle(call);

        (void) m;
        (void) arguments;
        return r <= 0 ? r : work(call, WORK_REMOVE, &(ImageRequest){ call->target });
}

static int mark_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;

        (void) m;
        return work(call, WORK_READ_ONLY, &(ReadOnlyRequest){ call->target, a->read_only });
}

static int limit_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;

        (void) m;
        return work(call, WORK_LIMIT,
                    &(LimitRequest){ call->target, a->limit, call->family == FAMILY_SYSTEMD });
}

static int enable_quotas(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return work(call, WORK_ENABLE_QUOTAS, &(ImageRequest){ call->target });
}

/* --- snapshots ----------------------------------------------------------------------------------------- */

/* A machine that writes to the image is frozen while the image is read. */
static int snapshot_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;
        const Machine *writer = images_find_writer(call->manager, call->target);
        bool hold = writer && !writer->paused;
        int r = judge_snapshot_name(call, a->snapshot);

        (void) m;
        if (r <= 0)
                return r;
        const SnapshotRequest request = {
                .target = hold ? (Target){ writer->record.leader, writer->record.start_time } : (Target){},
                .name = call->target,
                .snapshot = a->snapshot,
                .writer = writer ? writer->name : NULL,
        };
        return worker_answer(call, &(WorkerCall){ .work = WORK_SNAPSHOT,
                                                  .request = &request,
                                                  .name = call->target,
                                                  .thaws = hold });
}

static int of_snapshot(Call *call, Work what, const ImageArguments *a)
{
        int r = judge_snapshot_name(call, a->snapshot);

        return r <= 0 ? r
                      : work(call, what,
                             &(SnapshotRequest){ .name = call->target, .snapshot = a->snapshot });
}

static int roll_back_image(Call *call, Machine *m, const void *arguments)
{
        int r = judge_idle(call);

        (void) m;
        return r <= 0 ? r : of_snapshot(call, WORK_ROLL_BACK, arguments);
}

static int remove_snapshot(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        return of_snapshot(call, WORK_REMOVE_SNAPSHOT, arguments);
}

static int diff_image(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        return of_snapshot(call, WORK_DIFF, arguments);
}

static int rename_snapshot(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;
        int r = judge_snapshot_name(call, a->snapshot);

        (void) m;
        if (r > 0)
                r = judge_new_name(call, a->new_name);
        return r <= 0 ? r
                      : work(call, WORK_RENAME_SNAPSHOT,
                             &(RenameSnapshotRequest){ call->target, a->snapshot, a->new_name });
}

static int replace_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;
        int r = judge_new_name(call, a->image);

        (void) m;
        if (r > 0)
                r = judge_snapshot_name(call, a->keep);
        return r <= 0 ? r
                      : work(call, WORK_REPLACE, &(SwitchRequest){ call->target, a->image, NULL, a->keep });
}

static int revert_image(Call *call, Machine *m, const void *arguments)
{
        const ImageArguments *a = arguments;
        int r = judge_snapshot_name(call, a->snapshot);

        (void) m;
        if (r > 0)
                r = judge_snapshot_name(call, a->keep);
        return r <= 0 ? r
                      : work(call, WORK_REVERT,
                             &(SwitchRequest){ call->target, NULL, a->snapshot, a->keep });
}

/* --- several at once ----------------------------------------------------------------------------------- */

static int update_step(Call *call);

/* Changes that have been made are not undone if a later one fails. */
static void on_step(Call *call, const WorkResult *result)
{
        int r;

        (void) result;
        r = update_step(call);
        if (r < 0)
                call_fail_errno(call, r, "Failed to update image '%s'", call->target);
}

static int update_step(Call *call)
{
        UpdateImageArguments *a = call->arguments;
        WorkerCall wanted = { .name = call->target, .answer = on_step };
        int r;

        if (a->read_only != 0) {
                const ReadOnlyRequest request = { call->target, a->read_only > 0 };
                a->read_only = 0;
                wanted.work = WORK_READ_ONLY;
                wanted.request = &request;
                return worker_answer(call, &wanted);
        }
        if (a->limit != 0) {
                const LimitRequest request = { call->target, a->limit, true };
                a->limit = 0;
                wanted.work = WORK_LIMIT;
                wanted.request = &request;
                return worker_answer(call, &wanted);
        }
        if (isempty(a->new_name)) {
                call_answer(call, NULL);
                return 0;
        }
        r = judge_idle(call);
        if (r > 0)
                r = judge_new_name(call, a->new_name);
        return r <= 0 ? r : work(call, WORK_RENAME, &(RenameRequest){ call->target, a->new_name });
}

static int update_image(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return update_step(call);
}

/* --- the store ----------------------------------------------------------------------------------------- */

static int keep_of_machines(const Manager *manager, Strv *keep)
{
        int r = 0;

        for (size_t i = 0; i < manager->n_machines && r >= 0; i++)
                if (manager->machines[i]->image && manager->machines[i]->state != MACHINE_FAILED)
                        r = strv_append(keep, manager->machines[i]->image);
        return r;
}

static int clean_images(Call *call, Machine *m, const void *arguments)
{
        const CleanArguments *a = arguments;
        _cleanup_strv_ Strv keep = NULL;
        bool all = streq_ptr(a->mode, "all");
        int r;

        (void) m;
        if (!all && !streq_ptr(a->mode, "hidden")) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "What is cleaned is 'all' images or 'hidden' ones.");
                return 0;
        }
        r = keep_of_machines(call->manager, &keep);
        if (r < 0)
                return r;
        return worker_answer(
                call, &(WorkerCall){ .work = WORK_CLEAN,
                                     .request = &(CleanRequest){ all, all && call->family == FAMILY_MCTL,
                                                                 a->dry_run, keep } });
}

static bool is_absolute(const char *path)
{
        return path && path[0] == '/' && strlen(path) < PATH_MAX && str_is_clean(path);
}

static int mount_image(Call *call, Machine *m, const void *arguments)
{
        const MountArguments *a = arguments;

        (void) m;
        if (is_absolute(a->path))
                return work(call, WORK_MOUNT, &(MountRequest){ call->target, a->path, a->read_only });
        call_fail(call, ERROR_INVALID_ARGUMENT, "An image is mounted on an absolute path.");
        return 0;
}

static int mount_details(const Call *call, const void *arguments, Strv *ret)
{
        const MountArguments *a = arguments;

        return strv_extend(ret, (char *[]){ (char *) "image", call->target, (char *) "path",
                                            a->path ?: (char *) "", NULL });
}

static int unmount_image(Call *call, Machine *m, const void *arguments)
{
        const UnmountArguments *a = arguments;

        (void) m;
        if (is_absolute(a->where) || (a->where && image_name_valid(a->where)))
                return worker_answer(call, &(WorkerCall){ .work = WORK_UNMOUNT,
                                                          .request = &(UnmountRequest){ a->where },
                                                          .name = a->where });
        call_fail(call, ERROR_INVALID_ARGUMENT, "What is unmounted is an absolute path, or an image.");
        return 0;
}

static int unmount_details(const Call *call, const void *arguments, Strv *ret)
{
        const UnmountArguments *a = arguments;

        (void) call;
        return strv_extend(ret, (char *[]){ (char *) "image", a->where ?: (char *) "", (char *) "path",
                                            (char *) "", NULL });
}

static int limit_pool(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        call_fail(
                call, ERROR_NOT_SUPPORTED,
                "The store is a directory of the host's file system: limit an image, or that file system.");
        return 0;
}

/* Runs each change of an image. Machines are looked up when the operation runs, since a password may take
 * long. */
#define CHANGE(verb_, arguments_, answer_, run_)                                                  \
        {                                                                                         \
                verb_, TARGET_IMAGE, .refresh = true, .arguments = arguments_, .answer = answer_, \
                                     .policy = POLICY_IMAGES, .run = run_, .judge = judge_target, \
                                     .details = image_details                                     \
        }

const Operation operation_clone_image = CHANGE("clone", &clone_arguments, NULL, clone_image);
const Operation operation_rename_image = CHANGE("rename", &rename_arguments, NULL, rename_image);
const Operation operation_remove_image = CHANGE("remove", NULL, &remove_schema, remove_image);
const Operation operation_mark_image = CHANGE("read-only", &mark_arguments, NULL, mark_image);
const Operation operation_limit_image = CHANGE("limit", &limit_arguments, NULL, limit_image);
const Operation operation_enable_quotas = CHANGE("enable-quotas", NULL, NULL, enable_quotas);
const Operation operation_snapshot_image = CHANGE("snapshot", &snapshot_arguments, &snapshot_schema,
                                                  snapshot_image);
const Operation operation_roll_back_image = CHANGE("rollback", &snapshot_arguments, &snapshot_schema,
                                                   roll_back_image);
const Operation operation_rename_snapshot = CHANGE("rename-snapshot", &rename_snapshot_arguments, NULL,
                                                   rename_snapshot);
const Operation operation_remove_snapshot = CHANGE("remove-snapshot", &snapshot_arguments, NULL,
                                                   remove_snapshot);
const Operation operation_diff_image = CHANGE("diff", &snapshot_arguments, &diff_schema, diff_image);
const Operation operation_replace_image = { "switch",
                                            TARGET_IMAGE,
                                            .refresh = true,
                                            .arguments = &replace_arguments,
                                            .answer = &snapshot_schema,
                                            .policy = POLICY_IMAGES,
                                            .run = replace_image,
                                            .judge = judge_target,
                                            .details = replace_details };
const Operation operation_revert_image = CHANGE("switch", &revert_arguments, &snapshot_schema, revert_image);
const Operation operation_update_image = CHANGE("update", &update_arguments, NULL, update_image);
const Operation operation_clean_images = { "prune",
                                           .refresh = true,
                                           .arguments = &clean_arguments,
                                           .answer = &clean_schema,
                                           .policy = POLICY_CLEAN,
                                           .run = clean_images };
const Operation operation_mount_image = { "mount",
                                          TARGET_IMAGE,
                                          .arguments = &mount_arguments,
                                          .policy = POLICY_IMAGES,
                                          .run = mount_image,
                                          .judge = judge_target,
                                          .details = mount_details };
const Operation operation_unmount_image = { "unmount", .arguments = &unmount_arguments,
                                            .policy = POLICY_IMAGES, .run = unmount_image,
                                            .details = unmount_details };
const Operation operation_limit_pool = { "set_pool_limit", .arguments = &pool_arguments,
                                         .policy = POLICY_POOL, .run = limit_pool };

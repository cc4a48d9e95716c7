/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/machine-files.h"

#include <limits.h>

#include "basic/fd.h"
#include "manager/machine.h"
#include "manager/worker.h"

static DEFINE_SCHEMA(copy_arguments, CopyArguments, FIELD(CopyArguments, FIELD_STRING, "source", source),
                     FIELD(CopyArguments, FIELD_STRING, "destination", destination),
                     FIELD(CopyArguments, FIELD_UINT64, "flags", flags));
static DEFINE_SCHEMA(archive_arguments, ArchiveArguments,
                     FIELD(ArchiveArguments, FIELD_STRING, "source", source),
                     FIELD(ArchiveArguments, FIELD_FD, "file", fd));
static DEFINE_SCHEMA(extract_arguments, ArchiveArguments,
                     FIELD(ArchiveArguments, FIELD_STRING, "destination", destination),
                     FIELD(ArchiveArguments, FIELD_FD, "file", fd),
                     FIELD(ArchiveArguments, FIELD_UINT64, "flags", flags));
static DEFINE_SCHEMA(bind_arguments, BindArguments, FIELD(BindArguments, FIELD_STRING, "source", source),
                     FIELD(BindArguments, FIELD_STRING, "destination", destination),
                     FIELD(BindArguments, FIELD_BOOL, "readOnly", read_only),
                     FIELD(BindArguments, FIELD_BOOL, "mkdir", mkdir));
static DEFINE_SCHEMA(unbind_arguments, BindArguments,
                     FIELD(BindArguments, FIELD_STRING, "destination", destination));

/* --- what is judged ------------------------------------------------------------------------------------ */

static bool is_path(const char *path)
{
        return path && path[0] == '/' && strlen(path) < PATH_MAX;
}

static int check_machine(const Machine *m)
{
        _cleanup_close_ int proc_fd = m->owner == m->manager->scope->owner ? machine_open(m) : -EOPNOTSUPP;

        return MIN(proc_fd, 0);
}

/* Checks a path. Returns 0 if the call has been answered. An empty path stands for a missing one. */
static int judge(Call *call, const Machine *m, const char *source, const char *destination, uint64_t flags,
                 uint64_t known)
{
        int r = check_machine(m);

        if (r < 0)
                return r;
        if ((source && !is_path(source)) || (destination && !is_path(destination))) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "Paths are absolute.");
                return 0;
        }
        if (flags & ~known) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "The flags have an unknown bit.");
                return 0;
        }
        return 1;
}

static Target target_of(const Machine *m)
{
        return (Target){ m->record.leader, m->record.start_time };
}

static int details(const char *source, const char *destination, Strv *ret)
{
        int r = 0;

        if (!isempty(source))
                r = strv_extend(ret, (char *[]){ (char *) "src", (char *) source, NULL });
        if (r >= 0 && !isempty(destination))
                r = strv_extend(ret, (char *[]){ (char *) "dest", (char *) destination, NULL });
        return r;
}

/* --- copies -------------------------------------------------------------------------------------------- */

static int copy(Call *call, Machine *m, const void *arguments)
{
        const CopyArguments *a = arguments;
        char *destination = isempty(a->destination) ? NULL : a->destination;
        uint64_t known = COPY_REPLACE | (call->family == FAMILY_MCTL ? COPY_INTO : 0);
        int r = judge(call, m, a->source ?: "", destination, a->flags, known);

        if (r <= 0)
                return r;
        return worker_answer(call,
                             &(WorkerCall){ .work = *(const Work *) call->operation->variant,
                                            .request = &(CopyRequest){ .target = target_of(m),
                                                                       .source = a->source,
                                                                       .destination = destination,
                                                                       .replace = a->flags & COPY_REPLACE,
                                                                       .into = a->flags & COPY_INTO },
                                            .name = m->name,
                                            .bind = m->unit });
}

static int copy_details(const Call *call, const void *arguments, Strv *ret)
{
        const CopyArguments *a = arguments;

        (void) call;
        return details(a->source, isempty(a->destination) ? a->source : a->destination, ret);
}

/* Packs the source to an archive, or unpacks an archive at the destination. */
static int archive(Call *call, Machine *m, const void *arguments)
{
        const ArchiveArguments *a = arguments;
        const Work work = *(const Work *) call->operation->variant;
        int r = judge(call, m, work == WORK_PACK ? a->source ?: "" : NULL,
                      work == WORK_UNPACK ? a->destination ?: "" : NULL, a->flags, COPY_REPLACE);

        if (r <= 0)
                return r;
        return worker_answer(call,
                             &(WorkerCall){ .work = work,
                                            .request = &(CopyRequest){ .target = target_of(m),
                                                                       .source = a->source,
                                                                       .destination = a->destination,
                                                                       .replace = a->flags & COPY_REPLACE },
                                            .name = m->name,
                                            .bind = m->unit,
                                            .data_fd = a->fd });
}

static int archive_details(const Call *call, const void *arguments, Strv *ret)
{
        const ArchiveArguments *a = arguments;

        (void) call;
        return details(a->source, a->destination, ret);
}

/* --- mounts -------------------------------------------------------------------------------------------- */

static int bind(Call *call, Machine *m, const void *arguments)
{
        const BindArguments *a = arguments;
        const Work work = *(const Work *) call->operation->variant;
        char *destination = isempty(a->destination) ? a->source : a->destination;
        int r = judge(call, m, work == WORK_BIND ? a->source ?: "" : NULL, destination ?: "", 0, 0);

        if (r <= 0)
                return r;
        return worker_answer(call, &(WorkerCall){ .work = work,
                                                  .request = &(BindRequest){ .target = target_of(m),
                                                                             .source = a->source,
                                                                             .destination = destination,
                                                                             .read_only = a->read_only,
                                                                             .mkdir = a->mkdir },
                                                  .name = m->name,
                                                  .bind = m->unit });
}

static int bind_details(const Call *call, const void *arguments, Strv *ret)
{
        const BindArguments *a = arguments;

        (void) call;
        return details(a->source, isempty(a->destination) ? a->source : a->destination, ret);
}

static const Work copy_to = WORK_COPY_TO, copy_from = WORK_COPY_FROM, pack = WORK_PACK, unpack = WORK_UNPACK,
                  mount = WORK_BIND, unmount = WORK_UNBIND;

const Operation operation_copy_to = {
        "copy-to",   TARGET_MACHINE,          .arguments = &copy_arguments, .policy = POLICY_COPY,
        .run = copy, .details = copy_details, .variant = &copy_to
};
const Operation operation_copy_from = { "copy-from",           TARGET_MACHINE, .arguments = &copy_arguments,
                                        .policy = POLICY_COPY, .run = copy,    .details = copy_details,
                                        .variant = &copy_from };
const Operation operation_archive = { "copy-from",           TARGET_MACHINE, .arguments = &archive_arguments,
                                      .policy = POLICY_COPY, .run = archive, .details = archive_details,
                                      .variant = &pack };
const Operation operation_extract = { "copy-to",
                                      TARGET_MACHINE,
                                      .arguments = &extract_arguments,
                                      .policy = POLICY_COPY,
                                      .run = archive,
                                      .details = archive_details,
                                      .variant = &unpack };
const Operation operation_bind = { "bind",
                                   TARGET_MACHINE,
                                   .arguments = &bind_arguments,
                                   .policy = POLICY_BIND,
                                   .run = bind,
                                   .details = bind_details,
                                   .variant = &mount };
const Operation operation_unbind = { "unbind",
                                     TARGET_MACHINE,
                                     .arguments = &unbind_arguments,
                                     .policy = POLICY_BIND,
                                     .run = bind,
                                     .details = bind_details,
                                     .variant = &unmount };

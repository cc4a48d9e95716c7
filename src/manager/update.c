/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/update.h"

#include <string.h>

#include "basic/names.h"
#include "manager/images.h"
#include "manager/manager.h"
#include "manager/worker.h"

#define HEALTH_MAX   65536U /* bytes */
#define TIMEOUT_USEC (90 * USEC_PER_SEC)
#define TIMEOUT_MAX  (INT32_MAX * USEC_PER_SEC)

static DEFINE_SCHEMA(update_arguments, UpdateArguments, FIELD(UpdateArguments, FIELD_STRING, "image", image),
                     FIELD(UpdateArguments, FIELD_STRING, "health", health),
                     FIELD(UpdateArguments, FIELD_UINT64, "timeoutUSec", timeout));

static int judge_update(Call *call, const void *arguments)
{
        const UpdateArguments *a = arguments;

        if (!machine_name_valid(call->target))
                call_fail(call, ERROR_INVALID_ARGUMENT, "'%s' is not a valid name of a machine.",
                          call->target);
        else if (!a->image || !image_name_valid(a->image))
                call_fail(call, ERROR_INVALID_ARGUMENT, "'%s' is not a valid name of an image.",
                          strna(a->image));
        else if (strlen(strna(a->health)) > HEALTH_MAX)
                call_fail(call, ERROR_INVALID_ARGUMENT, "A health command has at most 65536 bytes.");
        else if (a->timeout > TIMEOUT_MAX)
                call_fail(call, ERROR_INVALID_ARGUMENT, "The timeout is at most %" PRIu64 " µs.",
                          TIMEOUT_MAX);
        else
                return 1;
        return 0;
}

static int update_details(const Call *call, const void *arguments, Strv *ret)
{
        const UpdateArguments *a = arguments;

        (void) call;
        return strv_extend(ret, (char *[]){ (char *) "source", a->image, (char *) "command_line",
                                            a->health ?: (char *) "", NULL });
}

static int update_machine(Call *call, Machine *m, const void *arguments)
{
        const UpdateArguments *a = arguments;
        const UpdateRequest request = { call->target, a->image, a->health, a->timeout ?: TIMEOUT_USEC };

        (void) m;
        return worker_answer(
                call, &(WorkerCall){ .work = WORK_UPDATE, .request = &request, .name = call->target });
}

static int judge_undo(Call *call, const void *arguments)
{
        (void) arguments;
        return images_judge_target(call, true);
}

static int undo_details(const Call *call, const void *arguments, Strv *ret)
{
        (void) arguments;
        return strv_extend(ret, (char *[]){ (char *) "image", call->target, NULL });
}

static int undo_update(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return worker_answer(call, &(WorkerCall){ .work = WORK_UNDO_UPDATE,
                                                  .request = &(ImageRequest){ call->target },
                                                  .name = call->target });
}

const Operation operation_update_machine = { "update",
                                             TARGET_MACHINE_NAME,
                                             .arguments = &update_arguments,
                                             .answer = &update_schema,
                                             .policy = POLICY_UPDATE,
                                             .run = update_machine,
                                             .judge = judge_update,
                                             .details = update_details };
const Operation operation_undo_update = { "undo-update",      TARGET_IMAGE,        .policy = POLICY_UPDATE,
                                          .run = undo_update, .judge = judge_undo, .details = undo_details };

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/images.h"

#include "basic/list.h"
#include "basic/names.h"
#include "manager/machine.h"
#include "manager/worker.h"
#include "spec/image-ref.h"

#define NAMES_MAX         4096U
#define CALLS_OF_USER_MAX 64U

static DEFINE_SCHEMA(list_arguments, ListImagesArguments,
                     FIELD(ListImagesArguments, FIELD_BOOL, "details", details),
                     FIELD(ListImagesArguments, FIELD_BOOL, "metadata", metadata));
static DEFINE_SCHEMA(measure_arguments, MeasureArguments,
                     FIELD(MeasureArguments, FIELD_STRINGS, "names", names));

/* --- who runs from an image ---------------------------------------------------------------------------- */

const Machine *images_next_user(const Manager *manager, const char *name, size_t *from)
{
        while (*from < manager->n_machines) {
                const Machine *m = manager->machines[(*from)++];
                if (m->state != MACHINE_FAILED && streq_ptr(m->image, name))
                        return m;
        }
        return NULL;
}

const Machine *images_find_user(const Manager *manager, const char *name)
{
        size_t from = 0;

        return images_next_user(manager, name, &from);
}

const Machine *images_find_writer(const Manager *manager, const char *name)
{
        for (size_t i = 0; i < manager->n_machines; i++) {
                const Machine *m = manager->machines[i];
                if (!m->foreign && m->record.leader > 0 && m->record.image_claim[0] &&
                    streq_ptr(m->image, name))
                        return m;
        }
        return NULL;
}

/* A missing image whose reference can only be of an OCI image is reported as such. */
static void fail_unknown(Call *call)
{
        _cleanup_free_ char *shown = call_show(call->target), *oci = NULL;
        ImageRef ref;

        if (image_ref_parse(call->target, &ref) >= 0 && ref.kind != IMAGE_REF_PATH)
                oci = image_ref_describe_missing(&ref, call->manager->scope->store);
        if (oci)
                call_fail(call, ERROR_IMAGE_UNKNOWN, "%s", oci);
        else
                call_fail(call, ERROR_IMAGE_UNKNOWN, "No image '%s' known.", strna(shown));
}

int images_judge_target(Call *call, bool change)
{
        bool host = streq(call->target, HOST_NAME);

        if (host && change) {
                call_fail(call, ERROR_INVALID_ARGUMENT, "'%s' is the host, and no image of the store.",
                          HOST_NAME);
                return 0;
        }
        if (!host && !image_name_valid(call->target)) {
                fail_unknown(call);
                return 0;
        }
        return 1;
}

static int judge_target(Call *call, const void *arguments)
{
        (void) arguments;
        return images_judge_target(call, false);
}

/* --- lists --------------------------------------------------------------------------------------------- */

/* Calls for the same list are answered together. A call that comes while a list is made gets the next list.
 */
typedef struct Listing {
        Manager *manager;
        bool details, metadata;
        Call *calls, *calls_next;
        bool running;
        bool telling; /* calls are being answered, and may ask for the next list */
        struct Listing *next;
} Listing;

static Listing *find_listing(Manager *manager, bool details, bool metadata)
{
        Listing *l = manager->listings;

        while (l && (l->details != details || l->metadata != metadata))
                l = l->next;
        if (l)
                return l;
        l = calloc(1, sizeof(Listing));
        if (!l)
                return NULL;
        *l = (Listing){ manager, details, metadata };
        LIST_PREPEND(&manager->listings, l);
        return l;
}

static void listing_free(Listing *listing)
{
        (void) LIST_REMOVE(&listing->manager->listings, listing);
        free(listing);
}

static void answer_all(Call *calls, const WorkResult *result)
{
        while (calls) {
                Call *call = calls;
                calls = call->next;
                call->next = NULL;
                if (result->error == 0)
                        call_answer(call, result->answer);
                else
                        call_fail_error(call,
                                        &(Error){ ERROR_ERRNO, result->error, .message = result->message });
        }
}

static int list_now(Listing *l);

static void on_listed(void *userdata, const WorkResult *result)
{
        Listing *l = userdata;
        Call *calls = l->calls;
        int r;

        l->running = false;
        l->telling = true;
        l->calls = TAKE_PTR(l->calls_next);
        if (l->calls) {
                r = list_now(l);
                if (r < 0)
                        answer_all(TAKE_PTR(l->calls), &(WorkResult){ -r, strerror(-r) });
        }
        answer_all(calls, result);
        l->telling = false;
        if (!l->running && !l->calls)
                listing_free(l);
}

static int list_now(Listing *l)
{
        int r = worker_run(l->manager,
                           &(WorkerTask){ .work = WORK_LIST,
                                          .request = &(ListRequest){ NULL, l->details, l->metadata },
                                          .uid = l->manager->scope->owner,
                                          .data_fd = -EBADF,
                                          .finished = on_listed,
                                          .userdata = l },
                           NULL);

        if (r < 0)
                return r;
        l->running = true;
        return 0;
}

static unsigned count_calls(const Call *calls, uid_t uid)
{
        unsigned n = 0;

        for (; calls; calls = calls->next)
                n += calls->caller.uid == uid;
        return n;
}

static int list(Call *call, bool details, bool metadata)
{
        Listing *l = find_listing(call->manager, details, metadata);
        int r = 0;

        OOM_CHECK(l);
        if (call->caller.uid != call->manager->scope->owner &&
            count_calls(l->calls, call->caller.uid) + count_calls(l->calls_next, call->caller.uid) >=
                    CALLS_OF_USER_MAX) {
                call_fail(call, ERROR_LIMIT,
                          "%u calls of this user are waiting for a list of images; try again later.",
                          CALLS_OF_USER_MAX);
                return 0;
        }
        Call **calls = l->running ? &l->calls_next : &l->calls;
        if (!l->running)
                r = list_now(l);
        if (r < 0) {
                if (!l->telling)
                        listing_free(l);
                return r;
        }
        call->next = *calls;
        *calls = call;
        return 0;
}

static int list_images(Call *call, Machine *m, const void *arguments)
{
        const ListImagesArguments *a = arguments;

        (void) m;
        return list(call, a->details, a->metadata);
}

static int list_images_detailed(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return list(call, true, false);
}

/* --- one image ----------------------------------------------------------------------------------------- */

static int get_image(Call *call, Machine *m, const void *arguments)
{
        const ListImagesArguments *a = arguments;

        (void) m;
        return worker_answer(
                call, &(WorkerCall){ .work = WORK_LIST,
                                     .request = &(ListRequest){ call->target, a->details, a->metadata } });
}

static int inspect_image(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return worker_answer(call, &(WorkerCall){ .work = WORK_INSPECT,
                                                  .request = &(ImageRequest){ call->target },
                                                  .name = call->target });
}

static int list_snapshots(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return worker_answer(call, &(WorkerCall){ .work = WORK_LIST_SNAPSHOTS,
                                                  .request = &(ImageRequest){ call->target },
                                                  .name = call->target });
}

static int measure_images(Call *call, Machine *m, const void *arguments)
{
        const MeasureArguments *a = arguments;

        (void) m;
        if (strv_length(a->names) > NAMES_MAX) {
                call_fail(call, ERROR_LIMIT, "At most %u images are measured at once.", NAMES_MAX);
                return 0;
        }
        STRV_FOREACH (name, a->names)
                if (!image_name_valid(*name)) {
                        _cleanup_free_ char *shown = call_show(*name);
                        call_fail(call, ERROR_INVALID_ARGUMENT, "No image of the store can be called '%s'.",
                                  strna(shown));
                        return 0;
                }
        return worker_answer(
                call, &(WorkerCall){ .work = WORK_MEASURE, .request = &(MeasureRequest){ a->names } });
}

static int verify_image(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        return worker_answer(call, &(WorkerCall){ .work = WORK_VERIFY,
                                                  .request = &(ImageRequest){ call->target },
                                                  .name = call->target });
}

static int image_details(const Call *call, const void *arguments, Strv *ret)
{
        (void) arguments;
        return strv_extend(ret, (char *[]){ (char *) "image", call->target, NULL });
}

/* The schemas of the answers are those of the workers. */
const Operation operation_list_images = { "list-images", .arguments = &list_arguments, .run = list_images };
const Operation operation_list_images_detailed = { "list-images", .refresh = true,
                                                   .run = list_images_detailed };
const Operation operation_get_image = { "get-image", TARGET_IMAGE, .arguments = &list_arguments,
                                        .run = get_image, .judge = judge_target };
const Operation operation_inspect_image = { "inspect-image", TARGET_IMAGE, .answer = &inspect_schema,
                                            .run = inspect_image, .judge = judge_target };
const Operation operation_list_snapshots = { "list-snapshots", TARGET_IMAGE, .answer = &snapshots_schema,
                                             .run = list_snapshots, .judge = judge_target };
const Operation operation_measure_images = { "measure", .arguments = &measure_arguments,
                                             .answer = &measure_schema, .policy = POLICY_IMAGES,
                                             .run = measure_images };
const Operation operation_verify_image = { "verify",
                                           TARGET_IMAGE,
                                           .answer = &verify_schema,
                                           .policy = POLICY_IMAGES,
                                           .run = verify_image,
                                           .judge = judge_target,
                                           .details = image_details };

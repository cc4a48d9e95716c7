/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/transfer.h"

#include <fcntl.h>
#include <unistd.h>

#include "archive/archive.h"
#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "basic/names.h"
#include "basic/parse.h"
#include "basic/verify-mode.h"
#include "manager/answer.h"
#include "manager/images.h"
#include "manager/machine.h"
#include "manager/worker.h"
#include "store/image.h"
#include "store/store.h"

#define URL_MAX 4096
/* Flag of pulls over import1 that asks for a second, pristine copy. mctl keeps no such copy: a clone of the
 * image has the same use. */
#define PULL_KEEP UINT64_C(4)

static DEFINE_SCHEMA(transfer_arguments, TransferArguments,
                     FIELD(TransferArguments, FIELD_STRING, "name", name),
                     FIELD(TransferArguments, FIELD_STRING, "format", format),
                     FIELD(TransferArguments, FIELD_FD, "file", fd),
                     FIELD(TransferArguments, FIELD_UINT64, "flags", flags),
                     FIELD(TransferArguments, FIELD_BOOL, "replace", replace),
                     FIELD(TransferArguments, FIELD_BOOL, "readOnly", read_only),
                     FIELD(TransferArguments, FIELD_STRING, "source", source),
                     FIELD(TransferArguments, FIELD_STRING, "url", url),
                     FIELD(TransferArguments, FIELD_STRING, "verify", verify),
                     FIELD(TransferArguments, FIELD_STRING, "type", type),
                     FIELD(TransferArguments, FIELD_STRINGS, "environment", environment),
                     FIELD(TransferArguments, FIELD_INT64, "clamp", clamp),
                     FIELD(TransferArguments, FIELD_STRING, "class", class));
static DEFINE_SCHEMA(id_arguments, TransferIdArguments, FIELD(TransferIdArguments, FIELD_UINT, "id", id));
static DEFINE_SCHEMA(begun_answer, TransferBegunAnswer, FIELD(TransferBegunAnswer, FIELD_UINT, "id", id));

/* --- the object ---------------------------------------------------------------------------------------- */

static void transfer_free(Transfer *t)
{
        (void) LIST_REMOVE(&t->manager->transfers, t);
        free(t->local);
        free(t->remote);
        free(t->verify);
        free(t->unit);
        free(t);
}
DEFINE_CLEANUP(Transfer *, transfer_free);

void transfers_free(Manager *manager)
{
        while (manager->transfers)
                transfer_free(manager->transfers);
}

const char *transfer_type(const Transfer *t)
{
        return work_types[t->work].name;
}

static bool is_export(Work work)
{
        return work == WORK_EXPORT_TAR || work == WORK_EXPORT_RAW;
}

static bool is_pull(Work work)
{
        return work == WORK_PULL_TAR || work == WORK_PULL_RAW;
}

Transfer *transfer_find(const Manager *manager, uint32_t id)
{
        Transfer *t = manager->transfers;

        while (t && t->id != id)
                t = t->next;
        return t;
}

bool transfer_is_making(const Manager *manager, const char *name)
{
        for (const Transfer *t = manager->transfers; t; t = t->next)
                if (streq(t->local, name) && !is_export(t->work))
                        return true;
        return false;
}

/* --- over a crash -------------------------------------------------------------------------------------- */

/* systemd stores the descriptor of the worker's answer. A file has the facts about the transfer. */
#define STORED_PREFIX "transfer-"
#define STATE_MAX     (64U * 1024U)

/* The facts about a transfer in its file. */
typedef struct TransferState {
        char *type, *local, *remote, *verify, *unit;
        uint32_t owner;
} TransferState;

static DEFINE_SCHEMA(state_schema, TransferState, FIELD(TransferState, FIELD_STRING, "type", type),
                     FIELD(TransferState, FIELD_STRING, "local", local),
                     FIELD(TransferState, FIELD_STRING, "remote", remote),
                     FIELD(TransferState, FIELD_STRING, "verify", verify),
                     FIELD(TransferState, FIELD_STRING, "unit", unit),
                     FIELD(TransferState, FIELD_UINT, "owner", owner));

static char *state_name(uint32_t id)
{
        return strf("transfers/%u", id);
}

static int state_write(const Transfer *t)
{
        const TransferState state = {
                (char *) transfer_type(t), t->local, t->remote, t->verify, t->unit, t->owner
        };
        json_t *o = schema_to_json(&state_schema, &state);
        _cleanup_free_ char *name = state_name(t->id), *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

        json_decref(o);
        if (!name || !text)
                return -ENOMEM;
        _cleanup_close_ int dir_fd = dir_open_or_make_at(t->manager->run_fd, "transfers", 0700);
        if (dir_fd < 0)
                return dir_fd;
        return file_write_atomic_at(dir_fd, strchr(name, '/') + 1, 0600, text, strlen(text));
}

static void state_remove(const Transfer *t)
{
        _cleanup_free_ char *name = state_name(t->id);

        if (name)
                (void) unlinkat(t->manager->run_fd, name, 0);
}

/* Moves the facts of the file into the transfer. */
static int take_state(Transfer *t, TransferState *state)
{
        int work = state->type ? work_from_string(state->type) : -EINVAL;

        if (work < 0 || !state->local || !state->unit)
                return -EBADMSG;
        t->work = work;
        t->local = TAKE_PTR(state->local);
        t->unit = TAKE_PTR(state->unit);
        t->remote = state->remote ? TAKE_PTR(state->remote) : strdup("");
        t->verify = state->verify ? TAKE_PTR(state->verify) : strdup("");
        t->owner = state->owner;
        return t->remote && t->verify ? 0 : -ENOMEM;
}

static int state_read(Transfer *t)
{
        _cleanup_free_ char *name = state_name(t->id), *text = NULL;
        TransferState state = {};
        const char *key;
        int r;

        OOM_CHECK(name);
        r = file_read_at(t->manager->run_fd, name, STATE_MAX, &text, NULL);
        if (r < 0)
                return r;
        json_t *o = json_loads(text, 0, NULL);
        r = o ? schema_from_json(&state_schema, o, true, &state, &key) : -EBADMSG;
        if (r >= 0)
                r = take_state(t, &state);
        schema_clear(&state_schema, &state);
        json_decref(o);
        return r;
}

/* --- how it goes --------------------------------------------------------------------------------------- */

static void on_progress(void *userdata, double share, uint64_t bytes)
{
        Transfer *t = userdata;

        t->progress = share;
        OBSERVERS_TELL(t->manager, transfer_progress, t, bytes);
}

static void on_finished(void *userdata, const WorkResult *result)
{
        _cleanup_(transfer_free_cleanup) Transfer *t = userdata;
        /* The answer of a clone is empty. */
        const TransferAnswer *answer = t->work == WORK_CLONE ? NULL : result->answer;
        _cleanup_free_ char *note = NULL;
        const char *message = result->message;
        int error = result->error;

        state_remove(t);
        /* A worker that ended before its main() has sent no answer. */
        if (error != 0 && t->cancelled) {
                error = ECANCELED;
                message = "The transfer was cancelled.";
        }
        if (error == 0 && answer && answer->left_out > 0)
                note = strf("%" PRIu64 " %s left out.", answer->left_out,
                            answer->left_out == 1 ? "device node or socket was"
                                                  : "device nodes or sockets were");
        OBSERVERS_TELL(t->manager, transfer_ended, t,
                       error == 0           ? "done"
                       : error == ECANCELED ? "canceled"
                                            : "failed",
                       error == 0 ? note : message);
}

static WorkerTask task_of(Transfer *t, const char *stored)
{
        return (WorkerTask){
                .work = t->work,
                .uid = t->owner,
                .what = t->local,
                .data_fd = -EBADF,
                .stored = stored,
                .progress = on_progress,
                .finished = on_finished,
                .userdata = t,
        };
}

bool transfer_restore(Manager *manager, const char *fd_name, int fd)
{
        const char *number = startswith(fd_name, STORED_PREFIX);
        _cleanup_(transfer_free_cleanup) Transfer *t = number ? calloc(1, sizeof(Transfer)) : NULL;
        uint64_t id;
        int r;

        if (!t)
                return false;
        t->manager = manager;
        if (parse_u64(number, 1, UINT32_MAX, &id) < 0)
                return false;
        t->id = (uint32_t) id;
        r = state_read(t);
        if (r < 0) {
                log_warning_errno(r, "Failed to read what transfer %u was", t->id);
                return false;
        }
        const WorkerTask task = task_of(t, fd_name);
        if (worker_resume(manager, &task, fd) < 0)
                return true; /* the descriptor has been closed */
        LIST_PREPEND(&manager->transfers, t);
        TAKE_PTR(t);
        return true;
}

/* --- what is judged ------------------------------------------------------------------------------------ */

/* Returns what is wrong with the source of an image, or NULL. Only root passes paths of the host. */
static const char *find_mistake(const Call *call, const TransferArguments *a)
{
        bool is_file = startswith(a->url, "file:///");

        if (!startswith(a->url, "https://") && !startswith(a->url, "http://") && !is_file)
                return "A URL begins with https://, http:// or file:///.";
        for (const char *c = a->url; *c; c++)
                if (*c <= ' ' || *c >= 0x7f || c - a->url > URL_MAX)
                        return "A URL has at most 4096 characters of ASCII, and no spaces; others are "
                               "written "
                               "with '%'.";
        if (is_file && call->caller.uid != call->manager->scope->owner)
                return "Only root can have a file of the host by its URL; an import takes any file that "
                       "you can "
                       "open.";
        return verify_mode_from_string(a->verify ?: "") < 0
                       ? "The verification of a download is signature, checksum or no."
                       : NULL;
}

/* Variables for connections. The worker gets no other variable of the caller. */
static bool is_proxy(const char *assignment)
{
        static const char *const names[] = { "http_proxy=", "https_proxy=", "HTTPS_PROXY=", "all_proxy=",
                                             "ALL_PROXY=",  "no_proxy=",    "NO_PROXY=" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (startswith(assignment, names[i]))
                        return str_is_clean(assignment);
        return false;
}

/* Finds the type of work. Methods of mctl name it in the arguments. -EOPNOTSUPP for work that mctl cannot
 * do. */
static int find_work(const Call *call, const TransferArguments *a)
{
        static const struct {
                Work general;
                const char *type;
                Work work;
        } types[] = {
                { WORK_IMPORT_TAR, "tar", WORK_IMPORT_TAR },
                { WORK_IMPORT_TAR, "raw", WORK_IMPORT_RAW },
                { WORK_IMPORT_TAR, "directory", WORK_IMPORT_DIRECTORY },
                { WORK_PULL_TAR, "tar", WORK_PULL_TAR },
                { WORK_PULL_TAR, "raw", WORK_PULL_RAW },
        };
        const Work general = *(const Work *) call->operation->variant;

        if (a->class && !streq(a->class, "machine"))
                return -EOPNOTSUPP;
        if (!a->type)
                return general;
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (types[i].general == general && streq(types[i].type, a->type))
                        return types[i].work;
        return -EOPNOTSUPP;
}

static uint64_t flags_of(const TransferArguments *a, Work work)
{
        uint64_t flags = a->flags | (a->replace ? TRANSFER_REPLACE : 0) |
                         (a->read_only ? TRANSFER_READ_ONLY : 0);

        return is_pull(work) && a->class ? flags & ~PULL_KEEP : flags;
}

static bool fits(int fd, Work work)
{
        int mode = fcntl(fd, F_GETFL);

        return mode >= 0 && !(mode & O_PATH) &&
               (mode & O_ACCMODE) != (is_export(work) ? O_RDONLY : O_WRONLY);
}

/* Checks the arguments; the call is answered only if they are wrong. */
static bool is_bad(Call *call, const TransferArguments *a, Work work)
{
        const char *mistake = a->url ? find_mistake(call, a) : NULL;
        uint64_t known = work == WORK_CLONE ? STORE_CLONE_FLAGS
                         : is_export(work)  ? 0
                                            : TRANSFER_REPLACE | TRANSFER_READ_ONLY;

        if (!image_new_name_valid(a->name))
                call_fail(call, ERROR_INVALID_ARGUMENT, "No image of the store can be called '%s'.",
                          a->name);
        else if (mistake)
                call_fail(call, ERROR_INVALID_ARGUMENT, "%s", mistake);
        else if (work_types[work].data && !fits(a->fd, work))
                call_fail(call, ERROR_INVALID_ARGUMENT,
                          "The descriptor of an import must be readable, and that of an export writable.");
        else if (flags_of(a, work) & ~known)
                call_fail(call, ERROR_INVALID_ARGUMENT, "The flags have an unknown bit.");
        else if (!isempty(a->format) && archive_format_from_string(a->format) < 0)
                call_fail(call, ERROR_INVALID_ARGUMENT,
                          "A format is uncompressed, gzip, xz, zstd or bzip2.");
        else
                return false;
        return true;
}

static bool is_in_the_way(Call *call, const TransferArguments *a, Work work)
{
        const Machine *user = work != WORK_CLONE && flags_of(a, work) & TRANSFER_REPLACE
                                      ? images_find_user(call->manager, a->name)
                                      : NULL;

        if (user) {
                call_fail(call, ERROR_IMAGE_BUSY, "Machine '%s' runs from image '%s'.", user->name, a->name);
                return true;
        }
        for (const Transfer *t = call->manager->transfers; t; t = t->next)
                if (streq(t->local, a->name) && !(is_export(work) && is_export(t->work))) {
                        call_fail(call, ERROR_TRANSFER_UNDER_WAY,
                                  "A transfer of image '%s' is running already.", a->name);
                        return true;
                }
        return false;
}

static int judge(Call *call, const void *arguments)
{
        const TransferArguments *a = arguments;

        if (!a->name || !image_name_valid(a->name) || (a->source && !image_name_valid(a->source))) {
                const char *wrong = a->name && image_name_valid(a->name) ? a->source : a->name;
                _cleanup_free_ char *shown = call_show(strna(wrong));
                call_fail(call, ERROR_INVALID_ARGUMENT, "No image of the store can be called '%s'.",
                          strna(shown));
                return 0;
        }
        STRV_FOREACH (s, a->environment)
                if (!is_proxy(*s)) {
                        call_fail(
                                call, ERROR_INVALID_ARGUMENT,
                                "Only variables of proxies, such as https_proxy=, can go with a download.");
                        return 0;
                }
        return 1;
}

/* --- what begins one ----------------------------------------------------------------------------------- */

static int run_worker(Transfer *t, const TransferArguments *a, int64_t clamp)
{
        _cleanup_free_ char *stored = strf(STORED_PREFIX "%u", t->id);
        uint64_t flags = flags_of(a, t->work);
        const CloneRequest clone = { a->source, a->name, flags };
        const TransferRequest request = {
                .name = a->name,
                .format = isempty(a->format) ? NULL : a->format,
                .replace = flags & TRANSFER_REPLACE,
                .read_only = flags & TRANSFER_READ_ONLY,
                .url = a->url,
                .verify = a->verify,
                .environment = a->environment,
                .clamp = clamp + 1,
        };
        WorkerTask task = task_of(t, stored);

        OOM_CHECK(stored);
        task.request = t->work == WORK_CLONE ? (const void *) &clone : &request;
        if (work_types[t->work].data)
                task.data_fd = a->fd;
        return worker_run(t->manager, &task, &t->unit);
}

static int begin(Call *call, const TransferArguments *a, Work work)
{
        Manager *manager = call->manager;
        _cleanup_(transfer_free_cleanup) Transfer *t = calloc(1, sizeof(Transfer));
        int r;

        OOM_CHECK(t);
        *t = (Transfer){
                .manager = manager,
                .id = ++manager->last_transfer,
                .work = work,
                .local = strdup(a->name),
                .remote = strdup(a->url ?: ""),
                .verify = strdup(a->verify ?: ""),
                .owner = call->caller.uid,
        };
        if (!t->local || !t->remote || !t->verify)
                return -ENOMEM;
        /* Only the method of mctl has this argument. */
        r = run_worker(t, a, call->operation == &operation_export ? MAX(a->clamp, -1) : -1);
        if (r == -EUSERS) {
                call_fail(call, ERROR_LIMIT,
                          "64 jobs are running already, or 16 of this user; wait for one to end.");
                return 0;
        }
        if (r < 0)
                return r;
        r = state_write(t);
        if (r < 0)
                log_warning_errno(r, "Failed to write down transfer %u", t->id);
        LIST_PREPEND(&manager->transfers, t);
        OBSERVERS_TELL(manager, transfer_begun, t);
        call_answer(call, &(TransferBegunAnswer){ TAKE_PTR(t)->id });
        return 0;
}

static int begin_transfer(Call *call, Machine *m, const void *arguments)
{
        const TransferArguments *a = arguments;
        int work = find_work(call, a);

        (void) m;
        if (work < 0)
                call_fail(call, ERROR_NOT_SUPPORTED,
                          "Images are tar archives, disks and directories, and of the class machine.");
        else if (!is_bad(call, a, work) && !is_in_the_way(call, a, work))
                return begin(call, a, work);
        return 0;
}

/* The worker finds out whether the file is a disk. */
static void on_looked(Call *call, const WorkResult *result)
{
        const ListAnswer *answer = result->answer;
        const TransferArguments *a = call->arguments;
        Work work = answer->n_images == 1 && streq_ptr(answer->images[0].type, "raw") ? WORK_EXPORT_RAW
                                                                                      : WORK_EXPORT_TAR;
        int r;

        if (is_bad(call, a, work) || is_in_the_way(call, a, work))
                return;
        r = begin(call, a, work);
        if (r < 0)
                call_fail_errno(call, r, "Failed to export image '%s'", a->name);
}

static int export(Call *call, Machine *m, const void *arguments)
{
        const TransferArguments *a = arguments;

        (void) m;
        return worker_answer(call, &(WorkerCall){ .work = WORK_LIST,
                                                  .request = &(ListRequest){ a->name },
                                                  .answer = on_looked });
}

static const char *find_verb(const Call *call, const void *arguments)
{
        int work = find_work(call, arguments);

        return work < 0 ? call->operation->verb : work_types[work].name;
}

static int details(const Call *call, const void *arguments, Strv *ret)
{
        const TransferArguments *a = arguments;

        (void) call;
        return strv_extend(ret, (char *[]){ (char *) "image", a->source ?: a->name, NULL });
}

/* --- those under way ----------------------------------------------------------------------------------- */

static int list_transfers(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        call_answer(call, NULL);
        return 0;
}

/* The worker stops, and removes what it has made. Its answer reports the end. */
static int cancel_transfer(Call *call, Machine *m, const void *arguments)
{
        const TransferIdArguments *a = arguments;
        Transfer *t = transfer_find(call->manager, a->id);

        (void) m;
        if (!t) {
                call_fail(call, ERROR_NO_SUCH_TRANSFER, "No transfer has the number %u.", a->id);
                return 0;
        }
        t->cancelled = true;
        return systemd_stop_unit(call->manager->systemd, t->unit, call_answer_nothing, call);
}

/* The user who began the transfer needs no permission. */
static int judge_cancel(Call *call, const void *arguments)
{
        const TransferIdArguments *a = arguments;
        const Transfer *t = transfer_find(call->manager, a->id);

        if (!t) {
                call_fail(call, ERROR_NO_SUCH_TRANSFER, "No transfer has the number %u.", a->id);
                return 0;
        }
        call->granted = call->granted || call->caller.uid == t->owner;
        return 1;
}

static int cancel_details(const Call *call, const void *arguments, Strv *ret)
{
        const TransferIdArguments *a = arguments;
        const Transfer *t = transfer_find(call->manager, a->id);

        return strv_extend(ret, (char *[]){ (char *) "image", t ? t->local : (char *) "", NULL });
}

static const Work import_tar = WORK_IMPORT_TAR, import_raw = WORK_IMPORT_RAW,
                  import_directory = WORK_IMPORT_DIRECTORY, export_tar = WORK_EXPORT_TAR,
                  export_raw = WORK_EXPORT_RAW, pull_tar = WORK_PULL_TAR, pull_raw = WORK_PULL_RAW,
                  clone_image = WORK_CLONE;

#define TRANSFER(verb_, policy_, variant_)                                                           \
        {                                                                                            \
                verb_, .refresh = true, .arguments = &transfer_arguments, .answer = &begun_answer,   \
                       .policy = policy_, .run = begin_transfer, .judge = judge, .details = details, \
                       .find_verb = find_verb, .variant = variant_                                   \
        }

const Operation operation_import = TRANSFER("import", POLICY_IMPORT, &import_tar);
const Operation operation_import_tar = TRANSFER("import-tar", POLICY_IMPORT, &import_tar);
const Operation operation_import_raw = TRANSFER("import-raw", POLICY_IMPORT, &import_raw);
const Operation operation_import_directory = TRANSFER("import-fs", POLICY_IMPORT, &import_directory);
const Operation operation_export = { "export",
                                     .refresh = true,
                                     .arguments = &transfer_arguments,
                                     .answer = &begun_answer,
                                     .policy = POLICY_EXPORT,
                                     .run = export,
                                     .judge = judge,
                                     .details = details };
const Operation operation_export_tar = TRANSFER("export-tar", POLICY_EXPORT, &export_tar);
const Operation operation_export_raw = TRANSFER("export-raw", POLICY_EXPORT, &export_raw);
const Operation operation_pull = TRANSFER("pull", POLICY_PULL, &pull_tar);
const Operation operation_pull_tar = TRANSFER("pull-tar", POLICY_PULL, &pull_tar);
const Operation operation_pull_raw = TRANSFER("pull-raw", POLICY_PULL, &pull_raw);
const Operation operation_copy_image = TRANSFER("clone", POLICY_IMAGES, &clone_image);
const Operation operation_list_transfers = { "list-transfers", .arguments = &transfer_arguments,
                                             .run = list_transfers };
const Operation operation_cancel_transfer = { "cancel",
                                              .arguments = &id_arguments,
                                              .policy = POLICY_IMPORT,
                                              .run = cancel_transfer,
                                              .judge = judge_cancel,
                                              .details = cancel_details };

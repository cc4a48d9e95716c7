/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/random.h"
#include "basic/socket.h"
#include "registry/unit.h"

#define WORKERS_MAX       64U
#define WORKER_MEMORY_MAX (UINT64_C(1) << 30)
/* What ends removes what it has made, which of a transfer can be much. */
#define STOP_USEC          (5 * USEC_PER_SEC)
#define TRANSFER_STOP_USEC (60 * USEC_PER_SEC)
/* Flags of copies. */
#define COPY_REPLACE UINT64_C(1)
#define COPY_INTO    UINT64_C(2)
/* What names the images of a whole store. */
#define ANSWER_MAX  (2U * 1024U * 1024U)
#define ANSWER_STEP 4096U

typedef struct Worker {
        Registry *registry;
        WorkerTask task;
        char *what, *stored;
        int answer_fd;
        sd_event_source *source;
        char *answer; /* what was not understood yet, and in the end the last line */
        size_t n_answer;
        sd_bus_slot *start_slot;
} Worker;

static void worker_free(Worker *w)
{
        w->registry->n_workers--;
        w->registry->n_pending--;
        sd_event_source_disable_unref(w->source);
        fd_close(w->answer_fd);
        sd_bus_slot_unref(w->start_slot);
        if (w->stored)
                (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", w->stored);
        free(w->answer);
        free(w->what);
        free(w->stored);
        free(w);
}
DEFINE_CLEANUP(Worker *, worker_free);

/* With systemctl kill, systemd 262 ends what was to run behind it, too. */
static void thaw(const Worker *w)
{
        json_t *request = json_pack("{ss sI sI}", "operation", "thaw", "leader", (json_int_t) w->task.thaw,
                                    "startTime", (json_int_t) w->task.thaw_time);
        int r = worker_run(w->registry,
                           &(WorkerTask){ .request = request, .what = "thaw", .data_fd = -EBADF }, NULL);

        if (r < 0)
                log_warning_errno(r, "Failed to thaw a machine");
}

/* The worker is ours, but what it says of paths is a machine's: it has escaped that. */
static int finish(Worker *worker)
{
        _cleanup_(worker_free_cleanup) Worker *w = worker;
        json_t *json = json_loadb(w->answer ?: "", w->n_answer, 0, NULL);
        const char *message = json ? NULL : "the worker did not finish.";
        int error = EIO;

        (void) json_unpack(json, "{si s?s}", "error", &error, "message", &message);
        if (!json && w->task.thaw > 0)
                thaw(w);
        if (w->task.finished)
                w->task.finished(w->task.userdata, error, message, json);
        registry_touch(w->registry);
        json_decref(json);
        return 0;
}

/* Each line says how far it is. The answer is what has no newline behind it; what began before a crash has no beginning, maybe. */
static void take_lines(Worker *w)
{
        char *end;

        while (w->n_answer > 0 && (end = memchr(w->answer, '\n', w->n_answer))) {
                size_t n = end - w->answer + 1;
                json_t *json = json_loadb(w->answer, n, 0, NULL);
                const json_t *progress = json_object_get(json, "progress"),
                             *bytes = json_object_get(json, "bytes");

                if (json_is_number(progress) && w->task.progress)
                        w->task.progress(w->task.userdata, json_number_value(progress),
                                         (uint64_t) json_integer_value(bytes));
                json_decref(json);
                memmove(w->answer, end + 1, w->n_answer - n);
                w->n_answer -= n;
        }
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Worker *w = userdata;
        ssize_t n = -1;

        (void) source;
        (void) events;
        char *answer = w->n_answer < ANSWER_MAX ? realloc(w->answer, w->n_answer + ANSWER_STEP) : NULL;
        if (answer) {
                w->answer = answer;
                n = read(fd, answer + w->n_answer, ANSWER_STEP);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
        }
        if (n <= 0)
                return finish(w);
        w->n_answer += n;
        take_lines(w);
        return 0;
}

/* A worker that was not started has said nothing, and says no more. */
static int on_started(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(worker_free_cleanup) Worker *w = NULL;
        const sd_bus_error *e = sd_bus_message_get_error(answer);

        (void) ret_error;
        if (!e)
                return 0;
        w = userdata;
        _cleanup_free_ char *message = strf("systemd does not start a worker: %s", e->message);
        if (w->task.finished)
                w->task.finished(w->task.userdata, EIO, strna(message), NULL);
        return 0;
}

/* The request as a file that nobody else has. */
static int make_request(json_t *request)
{
        _cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);

        OOM_CHECK(text);
        _cleanup_close_ int fd = memfd_create("mctl-request", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = fd_write_all(fd, text, strlen(text));
        return r < 0 ? r : lseek(fd, 0, SEEK_SET) < 0 ? -errno : TAKE_FD(fd);
}

/* What has to do with archives has a program of its own. */
static const char *program_of(const json_t *request)
{
        static const char *const transfers[] = { "import-", "pull-",  "export-",
                                                 "pack",    "unpack", "image-verify" };
        const char *operation = json_string_value(json_object_get(request, "operation"));

        for (size_t i = 0; operation && i < ELEMENTSOF(transfers); i++)
                if (startswith(operation, transfers[i]))
                        return TRANSFER_WORKER;
        return WORKER;
}

static int append_properties(sd_bus_message *m, const WorkerTask *task, const char *what, int request_fd,
                             int answer_fd)
{
        const char *description = startswith(what, "Failed to ") ?: what,
                   *program = program_of(task->request);
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", description,
                                          "CollectMode", "s", "inactive-or-failed", "NoNewPrivileges", "b",
                                          true, "PrivateNetwork", "b", !task->network, "LimitNOFILE", "t",
                                          UINT64_C(65536), "TimeoutStopUSec", "t",
                                          (task->stored ? TRANSFER_STOP_USEC : STOP_USEC), "MemoryMax", "t",
                                          WORKER_MEMORY_MAX);
        if (r >= 0 && task->bind)
                r = sd_bus_message_append(m, "(sv)(sv)", "BindsTo", "as", 1, task->bind, "After", "as", 1,
                                          task->bind);
        if (r >= 0 && task->staging)
                r = sd_bus_message_append(m, "(sv)", "PrivateTmp", "b", true);
        if (r >= 0 && task->thaw > 0) {
                _cleanup_free_ char *leader = strf("%i", task->thaw),
                                    *time = strf("%" PRIu64, task->thaw_time);
                r = !leader || !time ? -ENOMEM
                                     : sd_bus_message_append(m, "(sv)", "ExecStopPost", "a(sasb)", 1, WORKER,
                                                             4, WORKER, "thaw", leader, time, true);
        }
        if (r >= 0)
                r = unit_append_stdio(m, (const int[]){ request_fd, answer_fd, -EBADF });
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)", "ExecStart", "a(sasb)", 1, program, 1, program, false);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What the work is about comes over the socket that is answered over. */
static int make_channel(Worker *w, int *ret_fd)
{
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        w->answer_fd = fds[0];
        _cleanup_close_ int peer_fd = fds[1];
        if (fcntl(w->answer_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = w->task.data_fd >= 0 ? socket_send(w->answer_fd, "D", 1, w->task.data_fd) : 0;
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(peer_fd);
        return 0;
}

/* Where the store is full, or there is none, a crash loses it. */
static int listen_to(Worker *w)
{
        _cleanup_free_ char *message = w->stored ? strf("FDSTORE=1\nFDPOLL=0\nFDNAME=%s", w->stored) : NULL;

        if (message)
                (void) sd_pid_notify_with_fds(0, false, message, &w->answer_fd, 1);
        return sd_event_add_io(w->registry->event, &w->source, w->answer_fd, EPOLLIN, on_answer, w);
}

static int start_unit(Worker *w, const char *unit)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int fd = -EBADF, r;

        _cleanup_close_ int request_fd = make_request(w->task.request);
        if (request_fd < 0)
                return request_fd;
        r = make_channel(w, &fd);
        if (r < 0)
                return r;
        _cleanup_close_ int peer_fd = fd;
        r = systemd_call(w->registry->bus, &m, "StartTransientUnit", "ss", unit, "fail");
        if (r >= 0)
                r = append_properties(m, &w->task, w->what, request_fd, peer_fd);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = listen_to(w);
        return r < 0 ? r : sd_bus_call_async(w->registry->bus, &w->start_slot, m, on_started, w, 0);
}

static Worker *worker_new(Registry *registry, const WorkerTask *task, int answer_fd)
{
        Worker *w = malloc(sizeof(Worker));

        if (!w)
                return NULL;
        *w = (Worker){ .registry = registry, .task = *task, .answer_fd = answer_fd };
        registry->n_workers++;
        registry->n_pending++;
        w->what = strdup(task->what);
        w->stored = task->stored ? strdup(task->stored) : NULL;
        if (w->what && (!task->stored || w->stored))
                return w;
        worker_free(w);
        return NULL;
}

int worker_resume(Registry *registry, const WorkerTask *task, int answer_fd)
{
        _cleanup_(worker_free_cleanup) Worker *w = worker_new(registry, task, answer_fd);
        int r;

        if (!w)
                fd_close(answer_fd);
        OOM_CHECK(w);
        r = listen_to(w);
        if (r >= 0)
                TAKE_PTR(w);
        return r;
}

int worker_run(Registry *registry, const WorkerTask *task, char **ret_unit)
{
        _cleanup_free_ char *unit = strf("mctl-work-%016" PRIx64 ".service", random_u64());
        _cleanup_(worker_free_cleanup) Worker *w = NULL;
        json_t *request = task->request;
        int r = -ENOMEM;

        if (registry->n_workers >= WORKERS_MAX)
                r = -EUSERS;
        else if (unit && request && (w = worker_new(registry, task, -EBADF)))
                r = start_unit(w, unit);
        json_decref(request);
        if (r < 0)
                return r;
        TAKE_PTR(w);
        if (ret_unit)
                *ret_unit = TAKE_PTR(unit);
        return 0;
}

/* A call that is answered when a worker has done. */
typedef struct Answer {
        Registry *registry;
        sd_bus_message *call;
        WorkerDone done;
        char *what;
        char *unit;
        sd_bus_track *track; /* of who waits for it */
} Answer;

static void answer_free(Answer *a)
{
        sd_bus_message_unref(a->call);
        sd_bus_track_unref(a->track);
        free(a->what);
        free(a->unit);
        free(a);
}
DEFINE_CLEANUP(Answer *, answer_free);

static void answer_call(void *userdata, int error, const char *message, const json_t *answer)
{
        _cleanup_(answer_free_cleanup) Answer *a = userdata;
        int r;

        if (error == 0)
                r = a->done ? a->done(a->call, answer) : sd_bus_reply_method_return(a->call, "");
        else
                r = sd_bus_reply_method_errnof(a->call, error, "%s: %s", a->what,
                                               message ?: strerror(error));
        if (r < 0)
                (void) sd_bus_reply_method_errno(a->call, r, NULL);
}

/* Nobody takes what the work is about any more. */
static int on_caller_gone(sd_bus_track *track, void *userdata)
{
        const Answer *a = userdata;

        (void) track;
        (void) sd_bus_call_method_async(a->registry->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                        "StopUnit", NULL, NULL, "ss", strna(a->unit), "replace");
        return 1; /* with 0, it would be called again */
}

static int watch_caller(Answer *a)
{
        int r = sd_bus_track_new(a->registry->bus, &a->track, on_caller_gone, a);

        return r < 0 ? r : sd_bus_track_add_sender(a->track, a->call);
}

int worker_start(Registry *registry, sd_bus_message *call, json_t *request, int data_fd, WorkerDone done,
                 const char *what, ...)
{
        _cleanup_(answer_free_cleanup) Answer *a = calloc(1, sizeof(Answer));
        va_list ap;
        int r;

        if (!a) {
                json_decref(request);
                return -ENOMEM;
        }
        bool thaws = json_object_get(request, "thaw"),
             watched = data_fd >= 0 || json_object_get(request, "watched");
        *a = (Answer){ .registry = registry, .call = sd_bus_message_ref(call), .done = done };
        va_start(ap, what);
        if (vasprintf(&a->what, what, ap) < 0)
                a->what = NULL;
        va_end(ap);
        r = worker_run(
                registry,
                &(WorkerTask){
                        .request = request,
                        .what = strna(a->what),
                        .data_fd = data_fd,
                        /* What is about a machine ends with it. */
                        .bind = json_string_value(json_object_get(request, "unit")),
                        .thaw = thaws ? (pid_t) json_integer_value(json_object_get(request, "leader")) : 0,
                        .thaw_time = (uint64_t) json_integer_value(json_object_get(request, "startTime")),
                        .staging = json_object_get(request, "staging"),
                        .finished = answer_call,
                        .userdata = a },
                &a->unit);
        if (r >= 0 && watched && watch_caller(a) < 0)
                a->track = sd_bus_track_unref(a->track); /* it is done all the same */
        if (r == -EUSERS)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too much is under way.");
        if (r < 0)
                return r;
        TAKE_PTR(a);
        return 1;
}

/* --- methods ------------------------------------------------------------------------------------------------------ */

/* What somebody registered may be a process in the namespaces of the host, or see its files in a mount namespace of his
 * own: no work of root for a user's machine. */
static int check_machine(const Machine *m)
{
        _cleanup_close_ int proc_fd = m->owner == 0 ? machine_open(m) : -EOPNOTSUPP;

        return MIN(proc_fd, 0);
}

static json_t *with_leader(json_t *request, const Machine *m)
{
        json_object_set_new(request, "leader", json_integer(m->record.leader));
        json_object_set_new(request, "startTime", json_integer(m->record.start_time));
        json_object_set_new(request, "unit", json_string(m->unit));
        return request;
}

static int reply_bad_path(sd_bus_message *call)
{
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "Paths are absolute.");
}

static bool is_path(const char *path)
{
        return path[0] == '/' && strlen(path) < PATH_MAX;
}

/* Source and destination, which is the source's path where it is empty. */
static int read_paths(sd_bus_message *call, const char **ret_source, const char **ret_destination)
{
        int r = sd_bus_message_read(call, "ss", ret_source, ret_destination);

        if (r >= 0 && isempty(*ret_destination))
                *ret_destination = *ret_source;
        return r;
}

int worker_copy(Registry *registry, Machine *machine, sd_bus_message *call)
{
        const char *member = sd_bus_message_get_member(call), *source, *destination;
        bool inward = startswith(member, "CopyTo");
        uint64_t flags = 0;
        int r;

        r = read_paths(call, &source, &destination);
        if (r >= 0 && !sd_bus_message_at_end(call, true))
                r = sd_bus_message_read(call, "t", &flags);
        if (r >= 0)
                r = check_machine(machine);
        if (r < 0)
                return r;
        if (!is_path(source) || !is_path(destination))
                return reply_bad_path(call);
        if (flags > (endswith(member, "WithFlags") ? COPY_REPLACE : COPY_REPLACE | COPY_INTO))
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "There are no such flags.");
        return worker_start(
                registry, call,
                with_leader(json_pack("{ss ss ss* sb sb}", "operation", inward ? "copy-to" : "copy-from",
                                      "source", source, "destination",
                                      destination == source ? NULL : destination, "replace",
                                      (flags & COPY_REPLACE) != 0, "into", (flags & COPY_INTO) != 0),
                            machine),
                -EBADF, NULL, "Failed to copy %s machine '%s'", inward ? "to" : "from", machine->name);
}

int worker_archive(Registry *registry, Machine *machine, sd_bus_message *call)
{
        bool inward = startswith(sd_bus_message_get_member(call), "Extract");
        uint64_t flags = 0;
        const char *path;
        int fd, r;

        r = sd_bus_message_read(call, "sh", &path, &fd);
        if (r >= 0 && inward)
                r = sd_bus_message_read(call, "t", &flags);
        if (r >= 0)
                r = check_machine(machine);
        if (r < 0)
                return r;
        if (!is_path(path))
                return reply_bad_path(call);
        if (flags > COPY_REPLACE)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "There are no such flags.");
        return worker_start(
                registry, call,
                with_leader(json_pack("{ss ss sb sb sb ss}", "operation", inward ? "unpack" : "pack",
                                      inward ? "destination" : "source", path, "data", true, "staging", true,
                                      "replace", (flags & COPY_REPLACE) != 0, "format", "uncompressed"),
                            machine),
                fd, NULL, "Failed to copy %s machine '%s'", inward ? "to" : "from", machine->name);
}

int worker_bind(Registry *registry, Machine *machine, sd_bus_message *call)
{
        const char *source, *destination;
        int read_only, make, r;

        r = read_paths(call, &source, &destination);
        if (r >= 0)
                r = sd_bus_message_read(call, "bb", &read_only, &make);
        if (r >= 0)
                r = check_machine(machine);
        if (r < 0)
                return r;
        if (!is_path(source) || !is_path(destination))
                return reply_bad_path(call);
        return worker_start(
                registry, call,
                with_leader(json_pack("{ss ss ss sb sb}", "operation", "bind", "source", source,
                                      "destination", destination, "readOnly", read_only, "mkdir", make),
                            machine),
                -EBADF, NULL, "Failed to bind into machine '%s'", machine->name);
}

int worker_unbind(Registry *registry, Machine *machine, sd_bus_message *call)
{
        const char *destination;
        int r;

        r = sd_bus_message_read(call, "s", &destination);
        if (r >= 0)
                r = check_machine(machine);
        if (r < 0)
                return r;
        if (!is_path(destination))
                return reply_bad_path(call);
        return worker_start(
                registry, call,
                with_leader(json_pack("{ss ss}", "operation", "unbind", "destination", destination),
                            machine),
                -EBADF, NULL, "Failed to unmount in machine '%s'", machine->name);
}

int worker_details(sd_bus_message *call, Strv *ret)
{
        const char *source = NULL, *destination = NULL;
        int r;

        const char *member = sd_bus_message_get_member(call);

        if (startswith(member, "Unbind") || startswith(member, "Extract"))
                r = sd_bus_message_read(call, "s", &destination);
        else if (startswith(member, "Archive"))
                r = sd_bus_message_read(call, "s", &source);
        else
                r = read_paths(call, &source, &destination);
        if (r >= 0 && source)
                r = strv_extend(ret, (char *[]){ (char *) "src", (char *) source, NULL });
        if (r >= 0 && destination)
                r = strv_extend(ret, (char *[]){ (char *) "dest", (char *) destination, NULL });
        return r;
}

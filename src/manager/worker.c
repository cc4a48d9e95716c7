/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/worker.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "basic/random.h"
#include "basic/socket.h"
#include "systemd/unit-request.h"

/* The limit of workers: in all, and for a user who does not own the scope. */
#define WORKERS_MAX         64U
#define WORKERS_OF_USER_MAX 16U
#define CHILDREN_MAX        512U
#define WORKER_MEMORY_MAX   (UINT64_C(1) << 30)
/* The time that a stopped worker has to remove what it has made, or to undo an update. */
#define STOP_USEC          (5 * USEC_PER_SEC)
#define TRANSFER_STOP_USEC (60 * USEC_PER_SEC)
#define UPDATE_STOP_USEC   (20 * 60 * USEC_PER_SEC)
/* A child that waits for a file system is given up after this time. */
#define LOOK_USEC (60 * USEC_PER_SEC)
/* The name for all images of a store. */
#define ANSWER_MAX  (8U * 1024U * 1024U)
#define ANSWER_STEP 16384U

typedef struct Worker {
        Manager *manager;
        WorkerTask task;
        char *stored;
        Target frozen; /* the machine to thaw after the work; no leader if there is none */
        int answer_fd;
        sd_event_source *source, *timer;
        int child_fd; /* a pidfd, since the PID may be reused after the end; negative for work of a unit */
        char *answer; /* output that has not been parsed yet, and in the end the last line */
        size_t n_answer;
        bool starting; /* systemd has not answered the start yet */
        bool ended;    /* the callback has been called */
        struct Worker *next;
} Worker;

/* The properties of a worker's unit, by the program that does the work. */
static const struct {
        const char *path, *unit; /* the begin of the name of the unit */
        uint64_t stop_usec;
        bool confined; /* the program executes no other program, and has no network unless the work needs it
                        */
} programs[] = {
        [WORK_BY_WORKER] = { WORKER, "mctl-work", STOP_USEC, true },
        [WORK_BY_TRANSFER] = { TRANSFER_WORKER, "mctl-work", TRANSFER_STOP_USEC, true },
        [WORK_BY_UPDATE] = { UPDATE_WORKER, "mctl-update", UPDATE_STOP_USEC, false },
};

/* --- the object ---------------------------------------------------------------------------------------- */

static void worker_free(Worker *w)
{
        (void) LIST_REMOVE(&w->manager->workers, w);
        sd_event_source_disable_unref(w->source);
        sd_event_source_disable_unref(w->timer);
        fd_close(w->answer_fd);
        if (w->stored)
                (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", w->stored);
        if (w->child_fd >= 0)
                (void) pidfd_send_signal(w->child_fd, SIGKILL, NULL, 0);
        fd_close(w->child_fd);
        free(w->answer);
        free(w->stored);
        free(w);
}
DEFINE_CLEANUP(Worker *, worker_free);

static Worker *worker_new(Manager *manager, const WorkerTask *task, int answer_fd)
{
        Worker *w = calloc(1, sizeof(Worker));

        if (!w)
                return NULL;
        *w = (Worker){ .manager = manager, .task = *task, .answer_fd = answer_fd, .child_fd = -EBADF };
        LIST_PREPEND(&manager->workers, w);
        w->stored = task->stored ? strdup(task->stored) : NULL;
        /* The task of the caller is valid only during the call. */
        w->task.request = w->task.what = w->task.bind = w->task.stored = NULL;
        if (!task->stored || w->stored)
                return w;
        worker_free(w);
        return NULL;
}

/* As a rule, children end soon. */
static bool has_too_many(const Manager *manager, uid_t uid, bool child)
{
        const uid_t owner = manager->scope->owner;
        unsigned alike = 0, of_user = 0;

        for (const Worker *w = manager->workers; w; w = w->next) {
                /* Work of users does not count against the limit of the owner. */
                alike += (w->child_fd >= 0) == child && (w->task.uid == owner) == (uid == owner);
                of_user += w->task.uid == uid;
        }
        return alike >= (child ? CHILDREN_MAX : WORKERS_MAX) ||
               (uid != owner && of_user >= WORKERS_OF_USER_MAX);
}

/* Thaws the machine that a worker had frozen. ExecStopPost= of the worker cannot do this: systemd 262 kills
 * that process as well, if "systemctl kill" has killed the worker. */
static void thaw(Manager *manager, const Target *target)
{
        int r = worker_run(manager,
                           &(WorkerTask){ .work = WORK_THAW,
                                          .request = &(ThawRequest){ *target },
                                          .uid = manager->scope->owner,
                                          .data_fd = -EBADF },
                           NULL);

        if (r < 0)
                log_warning_errno(r, "Failed to thaw the machine of process %i", target->leader);
}

/* A worker was killed while it changed the store: its unfinished work is completed or removed. */
static void sweep(Manager *manager)
{
        int r = worker_run(
                manager,
                &(WorkerTask){ .work = WORK_SWEEP, .uid = manager->scope->owner, .data_fd = -EBADF }, NULL);

        if (r < 0)
                log_warning_errno(r, "Failed to sweep the store of images");
}

/* --- what a worker says -------------------------------------------------------------------------------- */

/* Paths in the answer of a worker can come from a machine. The worker has escaped control characters in
 * them. */
static int read_answer(const Worker *w, json_t *json, void *answer, const char **ret_message)
{
        const WorkType *type = work_types + w->task.work;
        json_t *said = NULL;
        const char *key;
        int error = EIO;

        *ret_message = json ? NULL : "the worker did not finish.";
        if (json_unpack(json, "{si s?s s?o}", "error", &error, "message", ret_message, "answer", &said) < 0)
                return EIO;
        if (error == 0 && type->answer && schema_from_json(type->answer, said, false, answer, &key) < 0) {
                *ret_message = "the worker said what nobody understands.";
                return EBADMSG;
        }
        if (error != 0 && !*ret_message)
                *ret_message = strerror(error);
        return error;
}

static void tell(Worker *w, const WorkResult *result)
{
        if (w->task.finished)
                w->task.finished(w->task.userdata, result);
        w->ended = true;
}

static int finish(Worker *w)
{
        const WorkType *type = work_types + w->task.work;
        json_t *json = json_loadb(w->answer ?: "", w->n_answer, 0, NULL);
        Manager *manager = w->manager;
        void *answer = schema_new(type->answer);
        WorkResult result = { .answer = answer };

        result.error = type->answer && !answer ? ENOMEM : read_answer(w, json, answer, &result.message);
        if (!json && w->frozen.leader > 0)
                thaw(manager, &w->frozen);
        if (!json && type->program != WORK_BY_CHILD && !type->machine && w->task.work != WORK_SWEEP)
                sweep(manager);
        /* The callback may begin other work. */
        tell(w, &result);
        schema_free(type->answer, answer);
        json_decref(json);
        if (!w->starting)
                worker_free(w);
        else {
                w->source = sd_event_source_disable_unref(w->source);
                w->timer = sd_event_source_disable_unref(w->timer);
        }
        manager_touch(manager);
        return 0;
}

/* Each line reports the progress. The answer is the text after the last newline. After a crash of the
 * registry, the first line may be incomplete. */
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

/* If the store of descriptors is full, or if there is none, a crash of the registry loses the answer. */
static int listen_to(Worker *w)
{
        _cleanup_free_ char *message = w->stored ? strf("FDSTORE=1\nFDPOLL=0\nFDNAME=%s", w->stored) : NULL;

        if (message)
                (void) sd_pid_notify_with_fds(0, false, message, &w->answer_fd, 1);
        return sd_event_add_io(w->manager->event, &w->source, w->answer_fd, EPOLLIN, on_answer, w);
}

/* --- a unit -------------------------------------------------------------------------------------------- */

/* A worker that did not start sends no answer. */
static void on_started(void *userdata, const sd_bus_error *error, const char *job)
{
        Worker *w = userdata;

        (void) job;
        w->starting = false;
        if (error && !w->ended) {
                _cleanup_free_ char *message = strf("systemd does not start a worker: %s", error->message);
                tell(w, &(WorkResult){ EIO, message ?: strerror(ENOMEM) });
        }
        if (w->ended)
                worker_free(w);
}

/* Writes the request to a file in memory. */
static int make_request(const WorkType *type, const void *request)
{
        json_t *json = json_pack("{ss so*}", "work", type->name, "request",
                                 type->request ? schema_to_json(type->request, request) : NULL);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

        json_decref(json);
        OOM_CHECK(text);
        _cleanup_close_ int fd = memfd_create("mctl-request", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = fd_write_all(fd, text, strlen(text));
        return r < 0 ? r : lseek(fd, 0, SEEK_SET) < 0 ? -errno : TAKE_FD(fd);
}

/* The socket for the answer also passes the descriptor that the work is about. */
static int make_channel(Worker *w, int data_fd, int *ret_fd)
{
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        w->answer_fd = fds[0];
        _cleanup_close_ int peer_fd = fds[1];
        if (fcntl(w->answer_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = data_fd >= 0 ? socket_send(w->answer_fd, "D", 1, data_fd) : 0;
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(peer_fd);
        return 0;
}

static void add_thaw(UnitRequest *q, const Target *target)
{
        _cleanup_free_ char *leader = strf("%i", target->leader),
                            *time = strf("%" PRIu64, target->start_time);

        if (leader && time)
                unit_request_add_command(q, "ExecStopPost", WORKER,
                                         (char *[]){ (char *) WORKER, (char *) "thaw", leader, time, NULL },
                                         true);
}

/* If mctl-update is killed, ExecStopPost= undoes the update. */
static void add_undo(UnitRequest *q, const char *machine)
{
        unit_request_add_command(
                q, "ExecStopPost", UPDATE_WORKER,
                (char *[]){ (char *) UPDATE_WORKER, (char *) "undo-killed", (char *) machine, NULL }, true);
}

static void add_properties(UnitRequest *q, const Worker *w, const WorkerTask *task)
{
        const WorkType *type = work_types + task->work;
        const char *program = programs[type->program].path;
        _cleanup_free_ char *description = work_describe(task->work, task->what);
        _cleanup_strv_ Strv environment = NULL;
        bool confined = programs[type->program].confined;

        unit_request_add(q, "Description", "s", description ?: type->name);
        unit_request_add(q, "CollectMode", "s", "inactive-or-failed");
        unit_request_add(q, "NoNewPrivileges", "b", confined);
        /* A user manager would need a user namespace for these settings, in which the worker could not
         * change a store. */
        if (!w->manager->scope->name)
                unit_request_add(q, "PrivateNetwork", "b", confined && !type->network);
        if (confined)
                unit_request_add(q, "LimitNOFILE", "t", UINT64_C(65536));
        unit_request_add(q, "TimeoutStopUSec", "t",
                         w->stored ? TRANSFER_STOP_USEC : programs[type->program].stop_usec);
        unit_request_add(q, "MemoryMax", "t", WORKER_MEMORY_MAX);
        if (task->bind) {
                unit_request_add(q, "BindsTo", "as", 1, task->bind);
                unit_request_add(q, "After", "as", 1, task->bind);
        }
        if (type->staging && !w->manager->scope->name)
                unit_request_add(q, "PrivateTmp", "b", true);
        if (scope_environment(w->manager->scope, &environment) >= 0 && environment)
                unit_request_add_strings(q, "Environment", environment);
        if (w->frozen.leader > 0)
                add_thaw(q, &w->frozen);
        if (task->work == WORK_UPDATE)
                add_undo(q, task->what);
        unit_request_add_command(q, "ExecStart", program, (char *[]){ (char *) program, NULL }, false);
}

static int start_unit(Worker *w, const WorkerTask *task, const char *unit)
{
        const WorkType *type = work_types + task->work;
        _cleanup_unit_request_ UnitRequest *q = NULL;
        int fd = -EBADF, r;

        _cleanup_close_ int request_fd = make_request(type, task->request);
        if (request_fd < 0)
                return request_fd;
        r = make_channel(w, task->data_fd, &fd);
        if (r < 0)
                return r;
        _cleanup_close_ int peer_fd = fd;
        q = unit_request_start(w->manager->systemd, unit);
        OOM_CHECK(q);
        add_properties(q, w, task);
        unit_request_add_stdio(q, (const int[]){ request_fd, peer_fd, -EBADF });
        r = listen_to(w);
        if (r < 0)
                return r;
        r = unit_request_send(q, on_started, w);
        if (r < 0)
                return r;
        w->starting = true;
        return 0;
}

int worker_resume(Manager *manager, const WorkerTask *task, int answer_fd)
{
        _cleanup_(worker_free_cleanup) Worker *w = worker_new(manager, task, answer_fd);
        int r;

        if (!w)
                fd_close(answer_fd);
        OOM_CHECK(w);
        r = listen_to(w);
        if (r < 0)
                return r;
        TAKE_PTR(w);
        return 0;
}

/* --- a child ------------------------------------------------------------------------------------------- */

/* The child shares no resource of the manager, but has a copy of its memory. */
static _Noreturn void look(const Scope *scope, const WorkerTask *task, int fd)
{
        const WorkType *type = work_types + task->work;
        _cleanup_free_ char *error = NULL, *shown = NULL;
        void *answer = schema_new(type->answer);
        sigset_t none;
        int r;

        (void) fd_close_others(&fd, 1);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        r = answer ? look_functions[task->work](scope, task->request, answer, &error) : -ENOMEM;
        shown = error ? str_escape(error) : NULL;
        json_t *line = json_pack("{si so* ss*}", "error", -MIN(r, 0), "answer",
                                 r < 0 ? NULL : schema_to_json(type->answer, answer), "message", shown);
        _cleanup_free_ char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
        _exit(text && fd_write_all(fd, text, strlen(text)) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        (void) info;
        (void) userdata;
        return sd_event_source_set_floating(source, false); /* the child has been reaped */
}

/* The child is reaped in any case. One that waits for a file system is killed, but may end later. */
static int watch_child(Worker *w, pid_t pid)
{
        sd_event_source *source;
        int r = sd_event_add_child(w->manager->event, &source, pid, WEXITED, on_child, NULL);

        if (r < 0)
                return r;
        w->child_fd = fcntl(sd_event_source_get_child_pidfd(source), F_DUPFD_CLOEXEC, 3);
        r = w->child_fd < 0 ? -errno : sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        return r;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
        Worker *w = userdata;

        (void) source;
        (void) usec;
        log_warning("Work '%s' was given up: a file system does not answer.", work_types[w->task.work].name);
        w->n_answer = 0;
        return finish(w);
}

static int start_child(Worker *w, const WorkerTask *task)
{
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        w->answer_fd = fds[0];
        _cleanup_close_ int write_fd = fds[1];
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                look(w->manager->scope, task, write_fd);
        r = watch_child(w, pid);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }
        r = sd_event_add_time_relative(w->manager->event, &w->timer, CLOCK_MONOTONIC, LOOK_USEC, 0, on_late,
                                       w);
        return r < 0 ? r : listen_to(w);
}

/* --- calls --------------------------------------------------------------------------------------------- */

int worker_run(Manager *manager, const WorkerTask *task, char **ret_unit)
{
        _cleanup_(worker_free_cleanup) Worker *w = NULL;
        _cleanup_free_ char *unit = NULL;
        int r;

        if (has_too_many(manager, task->uid, work_types[task->work].program == WORK_BY_CHILD))
                return -EUSERS;
        w = worker_new(manager, task, -EBADF);
        OOM_CHECK(w);
        if (task->thaws)
                w->frozen = *(const Target *) task->request;
        if (work_types[task->work].program == WORK_BY_CHILD)
                r = start_child(w, task);
        else {
                unit = strf("%s-%016" PRIx64 ".service", programs[work_types[task->work].program].unit,
                            random_u64());
                OOM_CHECK(unit);
                r = start_unit(w, task, unit);
        }
        if (r < 0)
                return log_debug_errno(r, "Failed to start work '%s'", work_types[task->work].name);
        TAKE_PTR(w);
        if (ret_unit)
                *ret_unit = TAKE_PTR(unit);
        return 0;
}

/* A call that is answered after the work. */
typedef struct Answer {
        Call *call;
        void (*answer)(Call *call, const WorkResult *result);
        const char *what; /* the answer, of the type of the work */
        char *name, *unit;
        Manager *manager;
} Answer;

static void answer_free(Answer *a)
{
        free(a->name);
        free(a->unit);
        free(a);
}
DEFINE_CLEANUP(Answer *, answer_free);

static void on_finished(void *userdata, const WorkResult *result)
{
        _cleanup_(answer_free_cleanup) Answer *a = userdata;
        _cleanup_free_ char *message = NULL;

        if (result->error == 0 && a->answer)
                return a->answer(a->call, result);
        if (result->error == 0)
                return call_answer(a->call, result->answer);
        if (result->error == ENOMEDIUM && a->call->target) {
                _cleanup_free_ char *shown = call_show(a->call->target);
                return call_fail(a->call, ERROR_IMAGE_UNKNOWN, "No image '%s' known.", strna(shown));
        }
        message = a->name ? strf("Failed to %s '%s': %s", a->what, a->name, result->message)
                          : strf("Failed to %s: %s", a->what, result->message);
        call_fail_error(a->call,
                        &(Error){ ERROR_ERRNO, result->error, .message = message ?: result->message });
}

/* The caller has left, so the work is not needed any more. */
static void on_gone(Call *call, void *userdata)
{
        const Answer *a = userdata;

        (void) call;
        if (a->unit)
                (void) systemd_stop_unit(a->manager->systemd, a->unit, NULL, NULL);
}

int worker_answer(Call *call, const WorkerCall *wanted)
{
        const WorkType *type = work_types + wanted->work;
        _cleanup_(answer_free_cleanup) Answer *a = calloc(1, sizeof(Answer));
        int r;

        OOM_CHECK(a);
        *a = (Answer){ call, wanted->answer, type->what, NULL, NULL, call->manager };
        if (wanted->name) {
                a->name = strdup(wanted->name);
                OOM_CHECK(a->name);
        }
        r = worker_run(call->manager,
                       &(WorkerTask){ .work = wanted->work,
                                      .request = wanted->request,
                                      .uid = call->caller.uid,
                                      .what = wanted->name,
                                      .bind = wanted->bind,
                                      .thaws = wanted->thaws,
                                      .data_fd = type->data ? wanted->data_fd : -EBADF,
                                      .finished = on_finished,
                                      .userdata = a },
                       &a->unit);
        if (r == -EUSERS) {
                call_fail(call, ERROR_LIMIT,
                          "64 jobs are running already, or 16 of this user; wait for one to end.");
                return 0;
        }
        if (r < 0)
                return r;
        if (type->watched)
                call_watch(call, on_gone, a);
        TAKE_PTR(a);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/random.h"
#include "registry/unit.h"

#define WORKERS_MAX 64U
/* Flags of copies. */
#define COPY_REPLACE UINT64_C(1)
#define COPY_INTO    UINT64_C(2)
/* What names the images of a whole store. */
#define ANSWER_MAX  (2U * 1024U * 1024U)
#define ANSWER_STEP 4096U

typedef struct Worker {
        Registry *registry;
        sd_bus_message *call;
        WorkerDone done;
        char *what;
        int answer_fd;
        sd_event_source *source;
        char *answer;
        size_t n_answer;
        sd_bus_slot *start_slot;
} Worker;

static void worker_free(Worker *w)
{
        w->registry->n_workers--;
        w->registry->n_pending--;
        sd_event_source_disable_unref(w->source);
        fd_close(w->answer_fd);
        sd_bus_message_unref(w->call);
        sd_bus_slot_unref(w->start_slot);
        free(w->answer);
        free(w->what);
        free(w);
}
DEFINE_CLEANUP(Worker *, worker_free);

/* The worker is ours, but what it says of paths is a machine's: it has escaped that. */
static int reply(Worker *w)
{
        json_t *json = json_loadb(w->answer ?: "", w->n_answer, 0, NULL);
        const char *message = NULL;
        int error = EIO, r;

        (void) json_unpack(json, "{si s?s}", "error", &error, "message", &message);
        if (error == 0)
                r = w->done ? w->done(w->call, json) : sd_bus_reply_method_return(w->call, "");
        else
                r = sd_bus_reply_method_errnof(
                        w->call, error, "%s: %s", w->what,
                        message ?: (json ? strerror(error) : "the worker did not finish."));
        json_decref(json);
        return r;
}

static int finish(Worker *worker)
{
        _cleanup_(worker_free_cleanup) Worker *w = worker;
        int r = reply(w);

        registry_touch(w->registry);
        if (r < 0)
                (void) sd_bus_reply_method_errno(w->call, r, NULL);
        return 0;
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
        return sd_bus_reply_method_errorf(w->call, SD_BUS_ERROR_FAILED,
                                          "%s: systemd does not start a worker: %s", w->what, e->message);
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

static int append_properties(sd_bus_message *m, const char *what, int request_fd, int answer_fd)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)", "Description", "s", what, "CollectMode",
                                          "s", "inactive-or-failed", "NoNewPrivileges", "b", true,
                                          "PrivateNetwork", "b", true, "LimitNOFILE", "t", UINT64_C(65536));
        if (r >= 0)
                r = unit_append_stdio(m, (const int[]){ request_fd, answer_fd, -EBADF });
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)", "ExecStart", "a(sasb)", 1, WORKER, 1, WORKER, false);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int start_unit(Worker *w, json_t *request)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char unit[64];
        int fds[2], r;

        snprintf(unit, sizeof(unit), "mctl-work-%016" PRIx64 ".service", random_u64());
        _cleanup_close_ int request_fd = make_request(request);
        if (request_fd < 0)
                return request_fd;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        w->answer_fd = fds[0];
        _cleanup_close_ int answer_fd = fds[1];
        if (fcntl(w->answer_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = systemd_call(w->registry->bus, &m, "StartTransientUnit", "ss", unit, "fail");
        if (r >= 0)
                r = append_properties(m, w->what, request_fd, answer_fd);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_event_add_io(w->registry->event, &w->source, w->answer_fd, EPOLLIN, on_answer, w);
        return r < 0 ? r : sd_bus_call_async(w->registry->bus, &w->start_slot, m, on_started, w, 0);
}

int worker_start(Registry *registry, sd_bus_message *call, json_t *request, WorkerDone done,
                 const char *what, ...)
{
        _cleanup_(worker_free_cleanup) Worker *w = calloc(1, sizeof(Worker));
        va_list ap;
        int r;

        if (!w || !request || registry->n_workers >= WORKERS_MAX) {
                json_decref(request);
                r = w && request ? sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                              "Too much is under way.")
                                 : -ENOMEM;
                free(TAKE_PTR(w));
                return r;
        }
        *w = (Worker){
                .registry = registry, .call = sd_bus_message_ref(call), .done = done, .answer_fd = -EBADF
        };
        registry->n_workers++;
        registry->n_pending++;
        va_start(ap, what);
        if (vasprintf(&w->what, what, ap) < 0)
                w->what = NULL;
        va_end(ap);
        r = w->what ? start_unit(w, request) : -ENOMEM;
        json_decref(request);
        if (r < 0)
                return r;
        TAKE_PTR(w);
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
                NULL, "Failed to copy %s machine '%s'", inward ? "to" : "from", machine->name);
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
                NULL, "Failed to bind into machine '%s'", machine->name);
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
                NULL, "Failed to unmount in machine '%s'", machine->name);
}

int worker_details(sd_bus_message *call, Strv *ret)
{
        const char *source = NULL, *destination = NULL;
        int r;

        if (startswith(sd_bus_message_get_member(call), "Unbind"))
                r = sd_bus_message_read(call, "s", &destination);
        else
                r = read_paths(call, &source, &destination);
        if (r >= 0 && source)
                r = strv_extend(ret, (char *[]){ (char *) "src", (char *) source, NULL });
        return r < 0 ? r : strv_extend(ret, (char *[]){ (char *) "dest", (char *) destination, NULL });
}

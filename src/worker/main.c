/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-worker and mctl-transfer: see worker.h. */

#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "basic/parse.h"
#include "basic/socket.h"
#include "basic/time.h"
#include "sandbox/cgroup.h"
#include "sandbox/leader.h"
#include "worker/worker.h"

/* Names of all images, at most. */
#define REQUEST_MAX (2U * 1024U * 1024U)

static void request_clear(Request *request)
{
        json_decref(request->json);
        fd_close(request->data_fd);
        fd_close(request->proc_fd);
        fd_close(request->root_fd);
}

static volatile sig_atomic_t cancelled;

/* It may come just before something blocks: so it comes again. */
static void on_term(int sig)
{
        (void) sig;
        cancelled = true;
        (void) alarm(1);
}

bool is_cancelled(void)
{
        return cancelled;
}

/* Not with every byte. */
void tell_progress(uint64_t bytes, uint64_t size)
{
        static uint64_t last;
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (now - last < 100 * USEC_PER_MSEC)
                return;
        last = now;
        printf("{\"progress\":%.4f,\"bytes\":%" PRIu64 "}\n", MIN((double) bytes / (double) size, 1.0),
               bytes);
        fflush(stdout);
}

static int receive_data(Request *request)
{
        char c;

        if (!request_flag(request, "data"))
                return 0;
        ssize_t n = socket_receive(STDOUT_FILENO, &c, 1, &request->data_fd);
        return n < 0 ? (int) n : request->data_fd < 0 ? -EBADMSG : 0;
}

static int open_machine(Request *request)
{
        Record record = {
                .leader = json_integer_value(json_object_get(request->json, "leader")),
                .start_time = json_integer_value(json_object_get(request->json, "startTime")),
        };

        request->proc_fd = leader_open(&record);
        if (request->proc_fd < 0)
                return request->proc_fd;
        request->root_fd = leader_open_root(request->proc_fd);
        return MIN(request->root_fd, 0);
}

static int run(json_t *answer, char **ret_error)
{
        _cleanup_(request_clear) Request request = {
                .answer = answer, .data_fd = -EBADF, .proc_fd = -EBADF, .root_fd = -EBADF
        };
        _cleanup_free_ char *text = NULL;
        const char *operation;
        int r;

        r = fd_read_all(STDIN_FILENO, REQUEST_MAX, &text, NULL);
        if (r < 0)
                return r;
        request.json = json_loads(text, 0, NULL);
        if (json_unpack(request.json, "{ss s?s s?s}", "operation", &operation, "source", &request.source,
                        "destination", &request.destination) < 0)
                return -EBADMSG;
        r = receive_data(&request);
        if (r >= 0 && json_object_get(request.json, "leader"))
                r = open_machine(&request);
        if (r == -ESRCH)
                return set_failure(ret_error, r, "The machine is gone.");
        if (r < 0)
                return r;
        for (const NamedOperation *o = operations; o->name; o++)
                if (streq(o->name, operation))
                        return o->run(&request, ret_error);
        return -EOPNOTSUPP;
}

/* What systemd runs behind a worker that may have frozen a machine. */
static int thaw(char *argv[])
{
        Record record = {};
        uint64_t leader;

        if (parse_u64(argv[2], 1, INT32_MAX, &leader) < 0 ||
            parse_u64(argv[3], 0, UINT64_MAX, &record.start_time) < 0)
                return EXIT_FAILURE;
        record.leader = (pid_t) leader;
        _cleanup_close_ int proc_fd = leader_open(&record);
        return proc_fd >= 0 && cgroup_freeze(record.leader, false) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *error = NULL, *shown = NULL;

        if (argc == 4 && streq(argv[1], "thaw"))
                return thaw(argv);
        if (argc > 1) {
                log_error("%s takes no arguments; mctl-registryd runs it.", program_invocation_short_name);
                return EXIT_FAILURE;
        }
        umask(0022);
        /* What blocks is to come back, and names in archives to be read as they are written. */
        (void) sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
        (void) sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_term }, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) setlocale(LC_CTYPE, "C.UTF-8");
        json_t *answer = json_object();
        int r = run(answer, &error);
        shown = error ? str_escape(error) : NULL;
        json_object_set_new(answer, "error", json_integer(-MIN(r, 0)));
        if (shown)
                json_object_set_new(answer, "message", json_string(shown));
        if (!answer || json_dumpf(answer, stdout, JSON_COMPACT) < 0 || fflush(stdout) != 0)
                r = -EIO;
        json_decref(answer);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

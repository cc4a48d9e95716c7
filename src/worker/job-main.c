/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/job.h"

#include <locale.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "basic/socket.h"
#include "state/leader.h"
#include "store/reserve.h"

/* The largest request has the names of all images of a store. */
#define REQUEST_MAX (2U * 1024U * 1024U)

/* Owns the request of a job, the JSON that the request was read from, and the descriptors of the job. */
typedef struct Reading {
        json_t *json;
        const WorkType *type;
        void *request;
        Job job;
} Reading;

static void reading_clear(Reading *r)
{
        if (r->type)
                schema_free(r->type->request, r->request);
        json_decref(r->json);
        fd_close(r->job.data_fd);
        fd_close(r->job.proc_fd);
        fd_close(r->job.root_fd);
}

static int receive_data(Job *job)
{
        char c;
        ssize_t n = socket_receive(STDOUT_FILENO, &c, 1, &job->data_fd);

        return n < 0 ? (int) n : job->data_fd < 0 ? -EBADMSG : 0;
}

static int open_machine(Job *job)
{
        const Target *target = job->request;
        const Record record = { .leader = target->leader, .start_time = target->start_time };

        job->proc_fd = leader_open(&record);
        if (job->proc_fd < 0)
                return job->proc_fd;
        job->root_fd = leader_open_root(job->proc_fd);
        return MIN(job->root_fd, 0);
}

/* Reads the request from standard input. Returns its Work, or a negative errno. */
static int read_request(Reading *reading, const WorkFunction *functions, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        const char *name, *key;
        json_t *request = NULL;
        int work, r;

        r = fd_read_all(STDIN_FILENO, REQUEST_MAX, &text, NULL);
        if (r < 0)
                return log_debug_errno(r, "Failed to read the request");
        reading->json = json_loads(text, 0, NULL);
        if (json_unpack(reading->json, "{s:s, s?o !}", "work", &name, "request", &request) < 0)
                return set_failure(ret_error, -EBADMSG, "The request is no request for work.");
        work = work_from_string(name);
        if (work < 0 || !functions[work])
                return set_failure(ret_error, -EOPNOTSUPP, "This program does no work '%s'.", name);
        reading->type = work_types + work;
        if (!reading->type->request)
                return work;
        reading->request = schema_new(reading->type->request);
        OOM_CHECK(reading->request);
        r = schema_from_json(reading->type->request, request, false, reading->request, &key);
        if (r == -EINVAL)
                return set_failure(ret_error, r, "The request for work '%s' has a wrong key '%s'.", name,
                                   key);
        return r < 0 ? r : work;
}

static int do_work(Reading *reading, WorkFunction function, json_t **ret_answer, char **ret_error)
{
        const Schema *schema = reading->type->answer;

        reading->job.answer = schema_new(schema);
        if (schema)
                OOM_CHECK(reading->job.answer);
        int r = function(&reading->job, ret_error);
        *ret_answer = schema ? schema_to_json(schema, reading->job.answer) : NULL;
        schema_free(schema, reading->job.answer);
        return r;
}

static int run(const Scope *scope, const WorkFunction *functions, json_t **ret_answer, char **ret_error)
{
        _cleanup_(reading_clear) Reading reading = {
                .job = { .scope = scope, .data_fd = -EBADF, .proc_fd = -EBADF, .root_fd = -EBADF }
        };
        int work, r = 0;

        work = read_request(&reading, functions, ret_error);
        if (work < 0)
                return work;
        reading.job.request = reading.request;
        if (reading.type->data)
                r = receive_data(&reading.job);
        if (r >= 0 && reading.type->machine)
                r = open_machine(&reading.job);
        if (r == -ESRCH)
                return set_failure(ret_error, r, "The machine is gone.");
        if (r < 0)
                return log_debug_errno(r, "Failed to open what work '%s' is about", reading.type->name);
        r = do_work(&reading, functions[work], ret_answer, ret_error);
        if (r == -ENOSPC && reading.type->frees && reserve_use(scope->store) >= 0) {
                json_decref(*ret_answer);
                free(*ret_error);
                *ret_error = NULL;
                r = do_work(&reading, functions[work], ret_answer, ret_error);
        }
        return r;
}

int job_answer(int r, json_t *what, const char *error)
{
        _cleanup_free_ char *shown = error ? str_escape(error) : NULL;
        json_t *line = json_pack("{si so* ss*}", "error", -MIN(r, 0), "answer", what, "message", shown);
        int written = line && json_dumpf(line, stdout, JSON_COMPACT) >= 0 && fflush(stdout) == 0 ? 0 : -EIO;

        json_decref(line);
        return written;
}

int job_main(int argc, const WorkFunction functions[static _WORK_MAX])
{
        _cleanup_scope_ Scope *scope = NULL;
        _cleanup_free_ char *error = NULL;
        json_t *what = NULL;

        if (argc > 1) {
                log_error("%s takes no arguments; mctl-registryd runs it.", program_invocation_short_name);
                return EXIT_FAILURE;
        }
        umask(0022);
        job_handle_signals();
        /* libarchive converts file names by the locale: UTF-8 leaves them unchanged. */
        (void) setlocale(LC_CTYPE, "C.UTF-8");
        int r = scope_new(&scope);
        if (r >= 0)
                r = run(scope, functions, &what, &error);
        if (job_answer(r, what, error) < 0)
                r = -EIO;
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

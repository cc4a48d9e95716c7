/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "spec/work.h"
#include "state/scope.h"

/* A job of mctl-worker, mctl-transfer or mctl-update: work that the manager does outside of its sandbox and
 * event loop, in a transient unit for each job. The request comes on standard input. Standard output is a
 * socket, which takes the answer, and delivers the descriptor of work types with `data`. work.h describes
 * requests and answers. */
typedef struct Job {
        const Scope *scope;
        const void *request; /* the request struct of the WorkType, checked by the manager */
        void *answer;
        int data_fd;    /* came with the request; negative for none */
        int proc_fd;    /* /proc/PID of the machine's leader; negative without a machine */
        int root_fd;    /* the machine's root directory; negative without a machine */
        void *userdata; /* for callbacks of the work */
} Job;

/* Does the work. Returns 0 or a negative errno. On failure, ret_error may get a message for the user, which
 * the caller frees. */
typedef int (*WorkFunction)(const Job *job, char **ret_error);

/* The main() of these programs: reads the request, does the work, and answers. `functions` has a function
 * for each Work of the program, and NULL for all others. Fails if the program has got arguments. Returns the
 * exit status. */
int job_main(int argc, const WorkFunction functions[static _WORK_MAX]);

/* Writes an answer to standard output: `what`, whose reference is taken over, or the error r with its text.
 * `what` and `error` may be NULL. Returns 0 or -EIO. */
int job_answer(int r, json_t *what, const char *error);

/* The unit has a private directory here if the WorkType has `staging` set. systemd removes it with the unit
 * (PrivateTmp=). */
#define STAGING "/var/tmp"

/* Installs signal handlers: from now on, SIGTERM cancels the job, and interrupts system calls that block.
 * SIGPIPE is ignored. */
void job_handle_signals(void);

/* Whether SIGTERM has cancelled the job. */
bool is_cancelled(void);

/* Writes a line of progress to standard output, at most each 100 ms: `bytes` of `size` bytes are done.
 * `size` is not 0. */
void tell_progress(uint64_t bytes, uint64_t size);

/* Splits an absolute path into directory and name: "/a/b" into "/a" and "b". -EINVAL if the path does not
 * end with the name of a file, such as "/" and "/a/..". The caller frees both. */
int path_split(const char *path, char **ret_parent, char **ret_name);

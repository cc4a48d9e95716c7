/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "spec/work.h"

/* Work that copies files, mounts or changes images is done by mctl-worker and mctl-transfer, each time in a
 * transient unit: systemd supervises the worker, which may take long. Work that only reads images is done by
 * a child of the manager. So the event loop waits for no file system. */

/* The result of work: error is 0, or an errno with a message. The answer is a struct of the type of the
 * work. All of it is valid only during the callback. */
typedef struct WorkResult {
        int error;
        const char *message;
        const void *answer;
} WorkResult;

/* Work, and the callbacks for its progress and its end. */
typedef struct WorkerTask {
        Work work;
        const void *request; /* a request of the type of the work; stays the caller's */
        uid_t uid;           /* the user for whom the work is done; the work of a user is limited */
        const char
                *what; /* the name of the machine or image, for the description of the unit; may be NULL */
        const char *bind; /* the work ends with this unit; may be NULL */
        bool thaws;  /* the worker may freeze the target of the request: the machine is thawed afterwards in
                        any case */
        int data_fd; /* for work with data; stays the caller's */
        const char *stored; /* the name under which systemd stores the descriptor of the answer, for the case
                               of a crash; or NULL */
        /* Reports the done share of the work, and its bytes; may be NULL. */
        void (*progress)(void *userdata, double share, uint64_t bytes);
        /* Called once at the end of the work, unless worker_run() fails. */
        void (*finished)(void *userdata, const WorkResult *result);
        void *userdata;
} WorkerTask;

/* Starts a worker. The caller frees the name of the unit, which is NULL for a child. -EUSERS above the limit
 * of workers: of all, or of the user. */
int worker_run(Manager *manager, const WorkerTask *task, char **ret_unit);

/* Continues work after a crash of the registry. The answer comes over the descriptor, of which the function
 * takes ownership. */
int worker_resume(Manager *manager, const WorkerTask *task, int answer_fd);

/* Work for a call. */
typedef struct WorkerCall {
        Work work;
        const void *request;
        const char *name; /* may be NULL */
        const char *bind;
        bool thaws;
        int data_fd;
        /* Makes the answer of the call from the answer of the work. NULL: the answers are the same, or the
         * call has an empty answer. */
        void (*answer)(Call *call, const WorkResult *result);
} WorkerCall;

/* Does the work, and answers the call. The message of an error begins with "Failed to", the description of
 * the type of work, and `name`. Watched work ends when the caller leaves. `bind` is as in WorkerTask. */
int worker_answer(Call *call, const WorkerCall *wanted);

/* A function of a child of the manager, for work that only reads. Returns a negative errno with a text on
 * failure. */
typedef int (*LookFunction)(const Scope *scope, const void *request, void *answer, char **ret_error);
extern const LookFunction look_functions[_WORK_MAX];

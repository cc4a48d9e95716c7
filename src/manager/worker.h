/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"
#include "spec/work.h"

/* Work that copies files, mounts or changes images is done by mctl-worker and mctl-transfer, each time as a
 * transient unit of its own: systemd supervises it, and it may take its time. What only looks at images is
 * done by a child of the manager. So the event loop waits for no file system. */

/* How a piece of work ended: error is 0 or a number of errno(3), and then there is a message. The answer is
 * a struct as the type of the work has it. None of it is the callee's to keep. */
typedef struct WorkResult {
        int error;
        const char *message;
        const void *answer;
} WorkResult;

/* What is to be done, and who hears of it. */
typedef struct WorkerTask {
        Work work;
        const void *request; /* as the type of the work has it; it stays the caller's */
        uid_t uid;           /* for whom: work of a user is bounded */
        const char *what;    /* it is about, for the description of the unit; may be NULL */
        const char *bind;    /* the unit that it ends with, or NULL */
        bool thaws;  /* the machine of the request's target may be frozen meanwhile: it is thawed in any case
                      */
        int data_fd; /* for work that has data; it stays the caller's */
        const char
                *stored; /* the name by which systemd keeps what it answers over, should we crash; or NULL */
        /* The share of all that is to be done, and the bytes of it; may be NULL. */
        void (*progress)(void *userdata, double share, uint64_t bytes);
        /* Once, whatever happens, but where worker_run() fails. */
        void (*finished)(void *userdata, const WorkResult *result);
        void *userdata;
} WorkerTask;

/* Starts a worker. The name of its unit is the caller's to free; NULL for work of a child. -EUSERS where
 * there are too many: of all, or of that user. */
int worker_run(Manager *manager, const WorkerTask *task, char **ret_unit);

/* Goes on with a worker that was started before a crash, whose answers come over that descriptor, which is
 * taken over. */
int worker_resume(Manager *manager, const WorkerTask *task, int answer_fd);

/* What is to be done for a call. */
typedef struct WorkerCall {
        Work work;
        const void *request;
        const char *name; /* may be NULL */
        const char *bind;
        bool thaws;
        int data_fd;
        /* Makes the answer of the call out of that of the work: NULL for the same, or for none where there
         * is none. */
        void (*answer)(Call *call, const WorkResult *result);
} WorkerCall;

/* Does the work, and answers the call with what it says; or with an error whose message begins with "Failed
 * to", what the type of the work says, and `name`. Work that is watched ends with who asked. `bind` is as in
 * a task. */
int worker_answer(Call *call, const WorkerCall *wanted);

/* What a child of the manager does for work that only looks at things: -E…, with a text. */
typedef int (*LookFunction)(const Scope *scope, const void *request, void *answer, char **ret_error);
extern const LookFunction look_functions[_WORK_MAX];

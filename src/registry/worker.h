/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "registry/registry.h"

/* Work that copies files, mounts or reads images is done by mctl-worker and mctl-transfer, each time as a transient unit of its own: systemd
 * supervises it, and it may take its time. There are at most 64 at once; more get LimitsExceeded. */

/* What is to be done, and who hears of it. */
typedef struct WorkerTask {
        json_t *request;  /* taken over; NULL is out of memory */
        const char *what; /* of errors, and of the unit */
        int data_fd;      /* that the work is about, or negative; it stays the caller's */
        const char *bind; /* the unit that it ends with, or NULL */
        pid_t thaw; /* the leader of a machine that it may freeze, and which is thawed when it ends; or 0 */
        uint64_t thaw_time; /* when that was started */
        bool network;       /* it may use that of the host */
        const char
                *stored; /* the name by which systemd keeps what it answers over, should we crash; or NULL */
        bool staging;    /* it gets a /var/tmp of its own, which systemd removes with it */
        /* The share of all that is to be done, and the bytes of it; may be NULL. */
        void (*progress)(void *userdata, double share, uint64_t bytes);
        /* May be NULL. Once, whatever happens, but where worker_run() fails: error is 0 or a number of errno(3). The texts are not the
         * callee's to keep. */
        void (*finished)(void *userdata, int error, const char *message, const json_t *answer);
        void *userdata;
} WorkerTask;

/* Starts a worker. The name of its unit is the caller's to free. -EUSERS where there are too many. */
int worker_run(Registry *registry, const WorkerTask *task, char **ret_unit);

/* Goes on with one that was started before a crash, whose answers come over that descriptor, which is taken over. The request is
 * not needed any more. */
int worker_resume(Registry *registry, const WorkerTask *task, int answer_fd);

/* Answers a call with what a worker said that did well. */
typedef int (*WorkerDone)(sd_bus_message *call, const json_t *answer);

/* Starts one, and answers the call when it is done: with nothing, by `done` where that is not NULL, or with an error whose
 * message begins with `what`. With a data_fd, or "watched" in the request, it ends with who called. Takes the request over; NULL is out of memory. data_fd is as in a task. */
int worker_start(Registry *registry, sd_bus_message *call, json_t *request, int data_fd, WorkerDone done,
                 const char *what, ...) _printf_(6, 7);

/* CopyToMachine(s source, s destination), …WithFlags(…, t flags), BindMountMachine(s source, s destination, b read-only,
 * b mkdir), UnbindMachine(s destination) and their like, as methods of operation tables. */
int worker_copy(Registry *registry, Machine *machine, sd_bus_message *call);
int worker_bind(Registry *registry, Machine *machine, sd_bus_message *call);
/* ArchiveFromMachine(s source, h file), and ExtractToMachine(s destination, h file, t flags) */
int worker_archive(Registry *registry, Machine *machine, sd_bus_message *call);
int worker_unbind(Registry *registry, Machine *machine, sd_bus_message *call);
/* The paths of such a call, for rules of polkit. */
int worker_details(sd_bus_message *call, Strv *ret);

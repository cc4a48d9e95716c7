/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "cli/context.h"
#include "client/client.h"
#include "client/jobs.h"
#include "client/objects.h"

/* Calls of client/ for verbs. A failure is logged as "WHAT: …". */

/* Connects to the bus of the scope, or to the system bus on the host of -H. */
int bus_connect(Context *c);
/* Send a call, and wait for the answer. bus_ask() is for calls that change nothing: CLIENT_QUESTION in
 * client.h. */
int bus_call(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret);
int bus_ask(Context *c, const char *what, sd_bus_message *request, sd_bus_message **ret);
/* Call a method of the registry or of systemd's manager, and wait for the answer. */
int bus_call_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                      const char *types, ...);
int bus_ask_registry(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...);
int bus_call_manager(Context *c, const char *what, const char *method, sd_bus_message **ret,
                     const char *types, ...);

/* See objects.h. If there is no machine of this name, bus_find_machine() returns 0 and sets *ret to NULL,
 * and bus_get_machine() logs an error and returns -ESRCH. */
int bus_get_unit(Context *c, const char *unit, json_t **ret);
int bus_find_machine(Context *c, const char *name, json_t **ret);
int bus_get_machine(Context *c, const char *name, json_t **ret);
int bus_list_machines(Context *c, json_t **ret);
int bus_list_images(Context *c, json_t **ret);
int bus_list_snapshots(Context *c, const char *what, const char *image, json_t **ret);

/* A process of a unit. The command has no control characters, so that it can be printed. */
typedef struct CgroupProcess {
        char *cgroup;
        uint32_t pid;
        char *command;
} CgroupProcess;

/* Returns the processes of a unit, sorted by cgroup. The caller frees the array by processes_free(). */
int bus_get_processes(Context *c, const char *unit, CgroupProcess **ret, size_t *ret_n);
void processes_free(CgroupProcess *processes, size_t n);

/* See jobs.h. */
int bus_watch_jobs(Context *c, Jobs *jobs);
int bus_add_job(Jobs *jobs, const char *path, const char *unit, const char *name);
int bus_wait_jobs(Jobs *jobs);

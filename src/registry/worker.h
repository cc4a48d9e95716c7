/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "registry/registry.h"

/* Work that copies files, mounts or reads images is done by mctl-worker, each time as a transient unit of its own: systemd
 * supervises it, and it may take its time. There are at most 64 at once; more get LimitsExceeded. */

/* Answers a call with what a worker said that did well. */
typedef int (*WorkerDone)(sd_bus_message *call, const json_t *answer);

/* Starts one, and answers the call when it is done: with nothing, by `done` where that is not NULL, or with an error whose
 * message begins with `what`. Takes the request over; NULL is out of memory. */
int worker_start(Registry *registry, sd_bus_message *call, json_t *request, WorkerDone done,
                 const char *what, ...) _printf_(5, 6);

/* CopyToMachine(s source, s destination), …WithFlags(…, t flags), BindMountMachine(s source, s destination, b read-only,
 * b mkdir), UnbindMachine(s destination) and their like, as methods of operation tables. */
int worker_copy(Registry *registry, Machine *machine, sd_bus_message *call);
int worker_bind(Registry *registry, Machine *machine, sd_bus_message *call);
int worker_unbind(Registry *registry, Machine *machine, sd_bus_message *call);
/* The paths of such a call, for rules of polkit. */
int worker_details(sd_bus_message *call, Strv *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "registry/registry.h"

/* Work that copies files, mounts or reads images is done by mctl-worker, each time as a transient unit of its own: systemd
 * supervises it, and it may take its time. There are at most 64 at once; more get LimitsExceeded. */

/* Starts one, and answers the call when it is done: with nothing, or with an error. Takes the request over, which the
 * fields of the machine's leader are added to. `what` is the beginning of the message of an error. */
int worker_start(Registry *registry, const Machine *machine, sd_bus_message *call, json_t *request,
                 const char *what);

/* CopyToMachine(s source, s destination), …WithFlags(…, t flags), BindMountMachine(s source, s destination, b read-only,
 * b mkdir), UnbindMachine(s destination) and their like, as methods of operation tables. */
int worker_copy(Registry *registry, Machine *machine, sd_bus_message *call);
int worker_bind(Registry *registry, Machine *machine, sd_bus_message *call);
int worker_unbind(Registry *registry, Machine *machine, sd_bus_message *call);
/* The paths of such a call, for rules of polkit. */
int worker_details(sd_bus_message *call, Strv *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "systemd/systemd.h"

/* A request to start a transient unit, or to set properties of a unit. The caller collects properties, and
 * then sends the request. A failed step is kept until then, so callers need not check each step.
 * unit_request_error() is the text of the first failure. */

typedef struct UnitRequest UnitRequest;

/* Both return NULL when out of memory. */
UnitRequest *unit_request_start(Systemd *systemd, const char *unit);
UnitRequest *unit_request_set(Systemd *systemd, const char *unit, bool runtime);
void unit_request_free(UnitRequest *request);
DEFINE_CLEANUP(UnitRequest *, unit_request_free);
#define _cleanup_unit_request_ _cleanup_(unit_request_free_cleanup)

/* Adds a property with a value as in sd_bus_message_append(3). */
void unit_request_add(UnitRequest *request, const char *name, const char *types, ...);

/* Adds a list of strings, or a list of byte arrays with one text. */
void unit_request_add_strings(UnitRequest *request, const char *name, const Strv list);
void unit_request_add_field(UnitRequest *request, const char *name, const char *value);

/* Adds a command of the unit (ExecStart=, ExecStopPost=), with one element of `argv` for each argument. With
 * `ignore`, a failure of the command is ignored. In a verbatim command, systemd expands no variables
 * (systemd 243 and newer). */
void unit_request_add_command(UnitRequest *request, const char *name, const char *path, const Strv argv,
                              bool ignore);
void unit_request_add_verbatim(UnitRequest *request, const char *name, const Strv command);

/* Sets standard input, output and error. A negative descriptor keeps systemd's default. */
void unit_request_add_stdio(UnitRequest *request, const int fds[3]);

/* Makes all exit statuses and signals count as success. */
void unit_request_add_all_successes(UnitRequest *request);

/* Adds assignments in the syntax of systemd.directives(7). */
void unit_request_add_assignments(UnitRequest *request, const Strv assignments);

/* Adds further properties that a caller has sent; see extra_properties_new(). */
typedef struct ExtraProperties ExtraProperties;
void unit_request_add_extra(UnitRequest *request, const ExtraProperties *extra);

/* Copies an array a(sv) at the read position of a message, without interpreting it. */
int extra_properties_new(sd_bus_message *message, ExtraProperties **ret);
void extra_properties_free(ExtraProperties *extra);

/* Returns what is wrong with an assignment, or NULL. */
const char *unit_request_error(const UnitRequest *request) _pure_;

/* Sends the request. The answer comes as in systemd.h. -EINVAL if an assignment is wrong. */
int unit_request_send(UnitRequest *request, SystemdReply reply, void *userdata);

/* Sends the request and calls reply() when the job has ended. `job` is then the result of the job, "done" on
 * success. */
int unit_request_run(UnitRequest *request, SystemdReply reply, void *userdata);

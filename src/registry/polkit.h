/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* Who calls, as a process and as a user; each may be NULL. */
int caller_read(sd_bus_message *call, pid_t *ret_pid, uid_t *ret_uid);

/* What is done once the caller is known to be allowed to. */
typedef int (*AuthorizedHandler)(Registry *registry, sd_bus_message *call);

/* What polkit says to a question that is none of a call's: `allowed`, or an error of errno(3). */
typedef void (*PolkitVerdict)(void *userdata, int verdict);

/* Asks whether a process may do that, without a password being asked for. Where it returns an error, nobody is told. */
int polkit_ask(Registry *registry, pid_t pid, uint64_t start_time, uid_t uid, const char *action,
               const char *machine, const char *verb, PolkitVerdict told, void *userdata);

/* Lets the handler run for a caller that is root, or that polkit allows the action; others get AccessDenied. Asks
 * without blocking. `machine` and `verb` go into the details that rules can look at. */
int polkit_authorize(Registry *registry, sd_bus_message *call, const char *action, const char *machine,
                     const char *verb, AuthorizedHandler handler);

/* The same with more details, keys and values by turns. */
int polkit_authorize_with(Registry *registry, sd_bus_message *call, const char *action, const char *machine,
                          const char *verb, const Strv details, AuthorizedHandler handler);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "state/scope.h"
#include "update/record.h"

/* Stops and starts a machine that is updated, and checks whether it is healthy. Each function waits until it
 * has succeeded or failed. Failures have a text (basic/failure.h). */

/* Powers a machine off. update_machine_make_off() does nothing if the machine has no processes, or only
 * waits for its start, as when the host boots. */
int update_machine_power_off(sd_bus *bus, const char *name, char **ret_error);
int update_machine_make_off(sd_bus *bus, const char *name, char **ret_error);

/* Starts the machine as the record describes it, and waits until it is up, or until `until` (µs of
 * CLOCK_MONOTONIC). */
int update_machine_start(const Scope *scope, sd_bus *bus, const UpdateRecord *record, uint64_t until,
                         char **ret_error);

/* Runs a command in the machine with /bin/sh, again and again until it ends with status 0, or until
 * `until`. */
int update_machine_wait_health(const char *name, const char *command, uint64_t until, char **ret_error);

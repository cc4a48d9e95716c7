/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "systemd/systemd.h"

/* Functions that only files of this room use. */

/* Makes a call of a method of the service manager. */
int systemd_call(Systemd *systemd, sd_bus_message **ret, const char *method, const char *types, ...);

/* Sends a call. As `job`, reply() gets an object path or a string in a variant, whichever the answer has, or
 * "". `reply` may be NULL. */
int systemd_send(Systemd *systemd, sd_bus_message *call, SystemdReply reply, void *userdata);

/* The bus on which systemd is called. */
sd_bus *systemd_bus(const Systemd *systemd);

/* Introspection data of a service, "" without a unit to ask; the first call waits for them. `ret` belongs to
 * `systemd`. */
int systemd_property_types(Systemd *systemd, const char **ret);

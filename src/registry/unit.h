/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* The transient unit of a machine, as assignments in the spelling of systemd.directives(7): what makes it a machine,
 * then what the spec adds. */
int unit_assignments(const Spec *spec, Strv *ret);

/* Appends assignments to a message as the elements of the a(sv) that StartTransientUnit() and SetUnitProperties()
 * take. The types come from systemd's own description of its objects (`types`, introspection data of a service), so
 * any property of any version works.
 * -EINVAL and a text for one that is unknown or has a bad value. */
int unit_append_properties(sd_bus_message *message, const char *types, const Strv assignments,
                           char **ret_error);

/* Opens the "(sv)" of a property; what follows is its value, and the end of both containers. */
int unit_open_property(sd_bus_message *message, const char *name, const char *types);
int unit_close_containers(sd_bus_message *message, unsigned n);

/* A property that is a list of byte arrays, with one text in it. */
int unit_append_field(sd_bus_message *message, const char *name, const char *value);

/* Reads three descriptors (hhh), which stay the message's. Returns 0 when it has been replied that they are none to have. */
int unit_read_stdio(sd_bus_message *call, int ret_fds[3]);

/* A process's standard input, output and error: each a descriptor, or negative for what systemd gives by default. */
int unit_append_stdio(sd_bus_message *message, const int fds[3]);

/* Judges one assignment without sending anything, as one in section [Resources] of a file where `file` says so. The same
 * errors, and -EOPNOTSUPP for what only a file can say. */
int unit_check_property(sd_bus *bus, const char *types, const char *assignment, bool file, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "macro.h"

/* Names of machines, and of the units and directories that come from them. */

#define MACHINE_NAME_MAX 64
#define UNIT_NAME_MAX    255

/* A machine's name is a host name (RFC 1123, '_' allowed as systemd does): at most 64 characters in labels of
 * letters, digits, '-' and '_', parted by single dots, no label beginning or ending with '-'. */
bool machine_name_valid(const char *name) _pure_;

/* What is wrong with a name, and what would be right, for people. */
#define MACHINE_NAME_RULE "at most 64 letters, digits, '-', '_' and single dots, as in a host name"

/* Makes a valid name of another one (an image's, a file's): what is not allowed becomes '-'. -EINVAL where
 * nothing is left. The caller frees it. */
int machine_name_from(const char *s, char **ret);

/* An image's name: a file name without control characters, and not hidden. */
bool image_name_valid(const char *name) _pure_;

/* The service manager on its bus, org.freedesktop.systemd1(5). */
#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

typedef enum MachineUnitKind {
        MACHINE_UNIT_TRANSIENT, /* machine-NAME.service, made by the registry */
        MACHINE_UNIT_TEMPLATE,  /* container@NAME.service, with a file in /etc/mctl */
        _MACHINE_UNIT_KIND_MAX,
} MachineUnitKind;

/* The name of the unit of a machine, escaped as systemd does. The caller frees it; NULL when out of memory. */
char *machine_unit_name(MachineUnitKind kind, const char *name);

/* The other way. -EINVAL for units that are no machine's. */
int machine_name_from_unit(const char *unit, char **ret_name, MachineUnitKind *ret_kind);

/* The shell patterns of the units of machines, NULL-terminated. */
extern const char *const machine_unit_patterns[];

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "macro.h"

/* Names of machines, and names of units and directories that are derived from them. */

#define MACHINE_NAME_MAX 64
#define UNIT_NAME_MAX    255

/* Whether a name is valid for a machine. Machine names are host names (RFC 1123), and '_' is allowed as in
 * systemd: at most 64 characters, labels of letters, digits, '-' and '_', single dots between labels. No
 * label begins or ends with '-'. */
bool machine_name_valid(const char *name) _pure_;

/* The rule for machine names, for messages to people. */
#define MACHINE_NAME_RULE "at most 64 letters, digits, '-', '_' and single dots, as in a host name"

/* Makes a valid machine name from another name, such as that of an image or a file: each invalid character
 * becomes '-'. -EINVAL if no character is left. The caller frees the name. */
int machine_name_from(const char *s, char **ret);

/* Whether a name is valid for an image: a file name without control characters that does not begin with a
 * dot. */
bool image_name_valid(const char *name) _pure_;

/* Suffixes behind the name of an image: of the file of a disk image, and of the directory of a stack of
 * layers. */
#define IMAGE_RAW_SUFFIX ".raw"
#define STACK_SUFFIX     ".stack"

/* Addresses of the service manager on the bus, org.freedesktop.systemd1(5). */
#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

typedef enum MachineUnitKind {
        MACHINE_UNIT_TRANSIENT, /* machine-NAME.service, made by the registry */
        MACHINE_UNIT_TEMPLATE,  /* container@NAME.service, with a file in /etc/mctl */
        _MACHINE_UNIT_KIND_MAX,
} MachineUnitKind;

/* Returns the name of the unit of a machine, escaped as in systemd. The caller frees the name. NULL when out
 * of memory. */
char *machine_unit_name(MachineUnitKind kind, const char *name);

/* Returns the name and the kind of the machine of a unit; ret_kind may be NULL. -EINVAL for units that do
 * not belong to a machine. The caller frees ret_name. */
int machine_name_from_unit(const char *unit, char **ret_name, MachineUnitKind *ret_kind);

/* Shell patterns for the units of machines, NULL-terminated. */
extern const char *const machine_unit_patterns[];

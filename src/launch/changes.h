/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "state/scope.h"

/* Volatile=disk: the changes of a machine are in the directory ".#mctl.changes/UNIT" of the store, the upper
 * layer of an overlay on the image. The directory stays until the machine ends, also over a reboot of the
 * machine. After a crash of the host, systemd-tmpfiles removes the directory. */

/* Opens the directory of the changes, with the subdirectories "upper", which belongs to `base`, and "work".
 * Changes from before a reboot of the machine are kept: a marker in the runtime directory of the machine
 * tells. Other files are removed. Returns a descriptor. */
int changes_open(const Scope *scope, const char *unit, int machine_fd, uid_t base);

/* Removes the changes of a machine that has ended. If the machine has rebooted, marks the changes as to be
 * kept for the next start. */
int changes_end(const Scope *scope, const char *unit, int machine_fd);

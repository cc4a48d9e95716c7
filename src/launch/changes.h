/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "state/scope.h"

/* Volatile=disk: what a machine changes is in a directory of its own, ".#mctl.changes/UNIT" of the store, as
 * the upper layer of an overlay on its image. It is there as long as the machine is, and over its own
 * reboots; systemd-tmpfiles removes what a crash of the host has left. */

/* Opens that directory with "upper", which belongs to `base`, and "work" in it. What is there from before a
 * reboot of the machine is kept, which the marker in its runtime directory tells; anything else is removed.
 * Returns a descriptor. */
int changes_open(const Scope *scope, const char *unit, int machine_fd, uid_t base);

/* The machine has ended: removes its changes, or, where it is to be started again because it rebooted, marks
 * them to be kept. */
int changes_end(const Scope *scope, const char *unit, int machine_fd);

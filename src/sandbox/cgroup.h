/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"
#include <sys/types.h>

/* The cgroup of a machine's unit belongs to us (Delegate=yes). Its processes live in the sub-cgroup
 * "payload", which belongs to the root of the container. */

/* Opens the cgroup of our own unit: where this process is, or above it where systemd put us into a
 * sub-cgroup for control processes. Returns a descriptor; -ENOMEDIUM where the unified hierarchy is not
 * mounted on /sys/fs/cgroup. */
int cgroup_open_own_unit(void);

/* The same for the unit of a machine, from its leader. */
int cgroup_open_unit_of(pid_t leader);

/* Whether the unit of a leader is frozen. */
int cgroup_is_frozen(pid_t leader);

/* Freezes the unit of a leader, and waits until all of it is; or thaws it. systemd does not know of it.
 * -ETIMEDOUT. */
int cgroup_freeze(pid_t leader, bool frozen);

/* Makes a sub-cgroup for processes that were not started by the machine, or opens it where it is there. Its
 * name begins with CGROUP_GUEST. */
#define CGROUP_GUEST "exec-"
int cgroup_make_guest(int unit_fd, const char *name);

/* Makes the sub-cgroup and hands it to its owner, with the files that the kernel wants delegated. Returns a
 * descriptor. */
int cgroup_make_payload(int unit_fd, uid_t owner);

/* Lets the sub-cgroups of the unit have all controllers that the unit has. The kernel allows that only when
 * the unit has no process of its own: -EBUSY. Opens nothing: `control_fd` is its cgroup.subtree_control,
 * open for writing, and `controllers` what cgroup_read_controllers() said. */
int cgroup_enable_controllers(int control_fd, const char *controllers);
/* "+cpu +memory …", the caller's to free; "" for none. */
int cgroup_read_controllers(int unit_fd, char **ret);

/* Takes the sub-cgroups away again, with whatever runs there still, so that a next main process finds the
 * unit's cgroup as the first one did. */
int cgroup_remove_payload(int unit_fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"
#include <sys/types.h>

/* mctl manages the cgroup of a machine's unit (Delegate=yes). The processes of the machine are in the
 * sub-cgroup "payload", which belongs to the root of the container. */

/* Opens the cgroup of the unit of this process. If systemd put the process into a sub-cgroup for control
 * processes, the cgroup above is opened. Returns a descriptor; -ENOMEDIUM if the unified hierarchy is not
 * mounted on /sys/fs/cgroup. */
int cgroup_open_own_unit(void);

/* Opens the cgroup of the unit of a machine by the leader of the machine. Returns and fails as above. */
int cgroup_open_unit_of(pid_t leader);

/* Whether the unit of a leader is frozen. */
int cgroup_is_frozen(pid_t leader);

/* Freezes the unit of a leader and waits until all processes are frozen, or thaws the unit. systemd does not
 * notice. -ETIMEDOUT. */
int cgroup_freeze(pid_t leader, bool frozen);

/* Opens a sub-cgroup for processes that the machine has not started, and makes the sub-cgroup if it is
 * missing. The name begins with CGROUP_GUEST. */
#define CGROUP_GUEST "exec-"
int cgroup_make_guest(int unit_fd, const char *name);

/* Makes the sub-cgroup, and gives the sub-cgroup and the delegated files of the kernel to the owner. Returns
 * a descriptor. */
int cgroup_make_payload(int unit_fd, uid_t owner);

/* Enables all controllers of the unit for the sub-cgroups. The kernel allows this only while no process is
 * in the cgroup of the unit itself: -EBUSY. Opens no file: `control_fd` is the cgroup.subtree_control of the
 * unit, open for writing, and `controllers` is the result of cgroup_read_controllers(). */
int cgroup_enable_controllers(int control_fd, const char *controllers);
/* Returns "+cpu +memory …", or "" for no controller. The caller frees the string. */
int cgroup_read_controllers(int unit_fd, char **ret);

/* Removes the sub-cgroups, and kills the processes that are left in them. The next main process then finds
 * the cgroup of the unit as the first main process did. */
int cgroup_remove_payload(int unit_fd);

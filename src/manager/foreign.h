/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/machine.h"
#include "manager/operation.h"

/* Machines that other programs have started, such as systemd-nspawn and libvirt. If mctl-registryd is the
 * provider of org.freedesktop.machine1, such machines are registered here. Otherwise systemd-machined
 * reports them. Their leader is watched by its pidfd. */

typedef struct RegisterArguments {
        char *name;
        char id[33];
        char *service, *class;
        int32_t leader; /* 0 for the caller, unless there is a pidfd */
        int leader_fd;  /* a pidfd of the leader, or negative */
        char *root;
        int32_t *interfaces;
        size_t n_interfaces;
        uint32_t vsock_cid; /* 0 and UINT32_MAX for an unknown address */
        char *ssh_address, *ssh_key, *control_address;
} RegisterArguments;

/* Registers a machine: in the unit of its leader, or in a new scope with the extra properties of the call.
 */
extern const Operation operation_register, operation_create;
extern const Operation operation_unregister;

/* Adds a machine without a unit of mctl, and watches its leader. Takes ownership of the machine unless the
 * function fails. */
int foreign_add(Machine *machine);

/* Adds an interface of the host that is connected to a machine. -EINVAL above the limit. */
int foreign_add_interface(Machine *machine, int64_t index);

/* Whether a user has registered a machine whose leader is still a process of that user. */
bool foreign_is_of(const Machine *machine, uid_t uid);

/* Sends a signal to the leader of a machine. */
int foreign_signal(const Machine *machine, int sig);

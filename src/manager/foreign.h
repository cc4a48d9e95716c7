/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/machine.h"
#include "manager/operation.h"

/* Machines that others have started: systemd-nspawn, libvirt. They are registered here where we are the
 * provider of org.freedesktop.machine1, or systemd-machined tells of them where that is the provider. Their
 * leader is watched by its descriptor. */

typedef struct RegisterArguments {
        char *name;
        char id[33];
        char *service, *class;
        int32_t leader; /* 0 for who asks, unless there is a pidfd */
        int leader_fd;  /* or negative */
        char *root;
        int32_t *interfaces;
        size_t n_interfaces;
        uint32_t vsock_cid; /* 0 and UINT32_MAX for none */
        char *ssh_address, *ssh_key, *control_address;
} RegisterArguments;

/* The machine is in the unit that its leader is in; or in a scope that is made for it, with the properties
 * that the call has extra. */
extern const Operation operation_register, operation_create;
extern const Operation operation_unregister;

/* Watches the leader of a machine that has no unit of ours, and adds it. Takes the machine over unless it
 * fails. */
int foreign_add(Machine *machine);

/* Adds an interface of the host that leads to a machine. -EINVAL for one too many. */
int foreign_add_interface(Machine *machine, int64_t index);

/* Whether a machine was registered by a user, and its leader is a process of that user still. */
bool foreign_is_of(const Machine *machine, uid_t uid);

/* Sends a signal to the leader. */
int foreign_signal(const Machine *machine, int sig);

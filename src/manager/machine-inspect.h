/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/inspect.h"
#include "manager/machine.h"
#include "manager/operation.h"

/* What can be learnt of a machine, and what of it can be opened. */

typedef struct ProcessArguments {
        uint32_t pid; /* 0 for who asks */
} ProcessArguments;

typedef struct IdArguments {
        uint32_t id;
} IdArguments;

typedef struct AddressesAnswer {
        Address *addresses;
        size_t n_addresses;
} AddressesAnswer;

typedef struct IdAnswer {
        uint32_t id;
} IdAnswer;

typedef struct OwnerAnswer {
        char *name;    /* of a machine, */
        char *machine; /* and again */
        uint32_t id;   /* inside */
} OwnerAnswer;

typedef struct FileAnswer {
        int fd;
} FileAnswer;

typedef struct TerminalAnswer {
        int fd;     /* the master */
        char *path; /* of the other end, as the machine sees it */
} TerminalAnswer;

typedef struct SshAnswer {
        char *address, *key;
} SshAnswer;

extern const Schema terminal_answer_schema;

/* A list of machines, for doors to read from the manager. */
extern const Operation operation_list_machines;
extern const Operation operation_get_machine_of_process;
/* The answer is an AddressesAnswer, for which there is no schema. */
extern const Operation operation_get_addresses;
extern const Operation operation_get_os_release;
extern const Operation operation_get_uid_shift;
extern const Operation operation_get_ssh;
extern const Operation operation_open_root;
extern const Operation operation_open_pty;
/* A user or group of a machine as the host numbers it, and the other way. */
extern const Operation operation_map_user_to_host, operation_map_group_to_host;
extern const Operation operation_map_user_of_host, operation_map_group_of_host;

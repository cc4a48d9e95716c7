/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/inspect.h"
#include "manager/machine.h"
#include "manager/operation.h"

/* Operations that read facts about a machine, or open files and terminals of a machine. */

typedef struct ProcessArguments {
        uint32_t pid; /* 0 for the caller */
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
        char *name;    /* an address of the machine, */
        char *machine; /* and an address of the host */
        uint32_t id;   /* inside */
} OwnerAnswer;

typedef struct FileAnswer {
        int fd;
} FileAnswer;

typedef struct TerminalAnswer {
        int fd;     /* the master side of a terminal */
        char *path; /* the path of the slave, as seen in the machine */
} TerminalAnswer;

typedef struct SshAnswer {
        char *address, *key;
} SshAnswer;

extern const Schema terminal_answer_schema;

/* Operations without an answer of their own: the door reads the list of machines from the manager. */
extern const Operation operation_list_machines;
extern const Operation operation_get_machine_of_process;
/* The answer is an AddressesAnswer, which has no schema. */
extern const Operation operation_get_addresses;
extern const Operation operation_get_os_release;
extern const Operation operation_get_uid_shift;
extern const Operation operation_get_ssh;
extern const Operation operation_open_root;
extern const Operation operation_open_pty;
/* Convert a user or group ID of a machine to that of the host, and back. */
extern const Operation operation_map_user_to_host, operation_map_group_to_host;
extern const Operation operation_map_user_of_host, operation_map_group_of_host;

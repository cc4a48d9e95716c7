/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Programs in machines, for who may not enter a machine, and for who does not wait: mctl-enter, as a
 * transient unit mctl-exec-MACHINE-ID.service that ends with that of the machine. */

typedef struct ExecArguments {
        char *id; /* 12 hexadecimal digits, which the caller chooses: so the unit can be watched before it is
                     there */
        char *user, *directory;
        Strv environment, command;
        uint64_t flags; /* ENTER_… of enter.h */
        int in_fd, out_fd, error_fd;
} ExecArguments;

typedef struct ExecKillArguments {
        char *id;
        int32_t signal;
} ExecKillArguments;

/* With the caller's streams, and without. The answer is a JobAnswer. */
extern const Operation operation_exec, operation_exec_detached;
extern const Operation operation_exec_kill;

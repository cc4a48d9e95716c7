/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/operation.h"

/* Programs in machines, for users who cannot enter a machine, and for callers that do not wait. mctl-enter
 * runs the program, as the transient unit mctl-exec-MACHINE-ID.service, which ends with the machine. */

typedef struct ExecArguments {
        char *id; /* 12 hexadecimal digits. The caller chooses the ID, and can watch the unit before it
                     exists */
        char *user, *directory;
        Strv environment, command;
        uint64_t flags; /* ENTER_… flags of spec/enter.h */
        int in_fd, out_fd, error_fd;
} ExecArguments;

typedef struct ExecKillArguments {
        char *id;
        int32_t signal;
} ExecKillArguments;

/* Run a program with the streams of the caller, and without streams. The answer is a JobAnswer. */
extern const Operation operation_exec, operation_exec_detached;
extern const Operation operation_exec_kill;

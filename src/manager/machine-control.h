/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/answer.h"
#include "manager/machine.h"
#include "manager/operation.h"

/* Operations that end, pause or change a running machine. */

typedef struct KillArguments {
        char *whom; /* "leader" or "all"; "" stands for "all" */
        int32_t signal;
} KillArguments;

typedef struct PropertiesArguments {
        bool runtime;
        Strv assignments;
} PropertiesArguments;

typedef struct SpecAnswer {
        char *spec; /* JSON */
} SpecAnswer;

/* The target of each operation is a running machine. */
extern const Operation operation_get_machine;
/* systemd stops the machine: KillSignal= of the unit asks the init to power off. */
extern const Operation operation_power_off;
extern const Operation operation_reboot;
/* Kills all processes with SIGKILL, at once. */
extern const Operation operation_terminate;
extern const Operation operation_kill;
extern const Operation operation_pause, operation_resume;
extern const Operation operation_set_properties;
extern const Operation operation_get_spec;

/* Powers a machine off without a call to answer. */
int machine_power_off_quietly(Machine *machine);

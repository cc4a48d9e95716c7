/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/answer.h"
#include "manager/machine.h"
#include "manager/operation.h"

/* What ends a machine, holds it, or changes it while it runs. */

typedef struct KillArguments {
        char *whom; /* "leader" or "all"; all where it is empty */
        int32_t signal;
} KillArguments;

typedef struct PropertiesArguments {
        bool runtime;
        Strv assignments;
} PropertiesArguments;

typedef struct SpecAnswer {
        char *spec; /* JSON */
} SpecAnswer;

/* The machine itself, which is there. */
extern const Operation operation_get_machine;
/* The stop ladder is systemd's: the unit's KillSignal= asks the init to power off. */
extern const Operation operation_power_off;
extern const Operation operation_reboot;
/* SIGKILL for all, at once. */
extern const Operation operation_terminate;
extern const Operation operation_kill;
extern const Operation operation_pause, operation_resume;
extern const Operation operation_set_properties;
extern const Operation operation_get_spec;

/* Powers a machine off for nobody in particular. */
int machine_power_off_quietly(Machine *machine);

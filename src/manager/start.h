/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* Machines that are started, and what would be done. */

typedef struct StartArguments {
        char *spec;                  /* JSON */
        int in_fd, out_fd, error_fd; /* of the payload; negative where it has the journal */
} StartArguments;

typedef struct StartAnswer {
        char *machine, *unit, *job;
        Strv warnings;
} StartAnswer;

typedef struct PlanAnswer {
        char *plan; /* JSON */
} PlanAnswer;

typedef struct CheckArguments {
        Strv assignments;
} CheckArguments;

typedef struct CheckAnswer {
        Strv problems; /* a text for each that is wrong */
} CheckAnswer;

/* Without the caller's streams, and with them. */
extern const Operation operation_start, operation_run;
extern const Operation operation_plan;
extern const Operation operation_check_properties;

/* Whether a machine of that name is about to be started by us. */
bool start_is_pending(const Manager *manager, const char *name);

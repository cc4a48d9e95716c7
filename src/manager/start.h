/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* Operations that start machines, or show what a start would do. */

typedef struct StartArguments {
        char *spec;                  /* JSON */
        int in_fd, out_fd, error_fd; /* standard streams of the payload; negative for the journal */
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
        Strv problems; /* a text for each wrong assignment */
} CheckAnswer;

/* Start a machine without the streams of the caller, and with them. */
extern const Operation operation_start, operation_run;
extern const Operation operation_plan;
extern const Operation operation_check_properties;

/* Whether a start of the machine is under way in this registry. */
bool start_is_pending(const Manager *manager, const char *name);

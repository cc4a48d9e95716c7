/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "manager/call.h"
#include "spec/schema.h"

/* Answers that operations of several kinds have. */

typedef struct MachineAnswer {
        char *machine; /* its name */
} MachineAnswer;

typedef struct JobAnswer {
        char *job; /* an object path of systemd's; "/" where no job stands for it */
} JobAnswer;

extern const Schema machine_answer_schema, job_answer_schema;

/* For a reply of systemd: answers a call with the job, or with nothing, or with the error. */
void call_answer_job(void *userdata, const sd_bus_error *error, const char *job);
void call_answer_nothing(void *userdata, const sd_bus_error *error, const char *job);
void call_fail_bus(Call *call, const sd_bus_error *error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "manager/call.h"
#include "spec/schema.h"

/* Types of answers that several kinds of operations share. */

typedef struct MachineAnswer {
        char *machine; /* the name of the machine or image */
} MachineAnswer;

typedef struct JobAnswer {
        char *job; /* an object path of systemd, or "/" if systemd has no job for the operation */
} JobAnswer;

extern const Schema machine_answer_schema, job_answer_schema;

/* For a reply of systemd: answers a call with the job, with nothing, or with the error. */
void call_answer_job(void *userdata, const sd_bus_error *error, const char *job);
void call_answer_nothing(void *userdata, const sd_bus_error *error, const char *job);
void call_fail_bus(Call *call, const sd_bus_error *error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/answer.h"

DEFINE_SCHEMA(machine_answer_schema, MachineAnswer, FIELD(MachineAnswer, FIELD_MACHINE, "machine", machine));
DEFINE_SCHEMA(job_answer_schema, JobAnswer, FIELD(JobAnswer, FIELD_JOB, "job", job));

void call_fail_bus(Call *call, const sd_bus_error *e)
{
        call_fail_error(call, &(Error){ .kind = ERROR_BUS,
                                        .number = sd_bus_error_get_errno(e),
                                        .name = e->name,
                                        .message = e->message ?: e->name });
}

void call_answer_job(void *userdata, const sd_bus_error *error, const char *job)
{
        if (error)
                call_fail_bus(userdata, error);
        else
                call_answer(userdata, &(JobAnswer){ (char *) job });
}

void call_answer_nothing(void *userdata, const sd_bus_error *error, const char *job)
{
        (void) job;
        if (error)
                call_fail_bus(userdata, error);
        else
                call_answer(userdata, NULL);
}

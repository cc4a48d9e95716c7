/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

/* Jobs of systemd that the caller waits for, each for one machine. Errors are as in client.h. */
typedef struct Jobs {
        sd_bus *bus; /* borrowed; NULL before jobs_watch() */
        sd_bus_slot *match;
        struct Job {
                char *path, *unit, *name;
                char *result; /* "done" or another result of the job; NULL until the job has ended */
        } * items;
        size_t n;
        uint64_t since; /* the time of jobs_watch(); µs since 1970 */
} Jobs;

void jobs_clear(Jobs *jobs);

/* Begins to watch jobs. Called before the first job is queued, so that no end is missed. */
int jobs_watch(Jobs *jobs, sd_bus *bus, char **ret_error);

/* Adds a job. Fails only with -ENOMEM, without a text. */
int jobs_add(Jobs *jobs, const char *path, const char *unit, const char *name);

/* jobs_done() says whether all jobs have ended. jobs_wait() waits for that until `until` (µs of
 * CLOCK_MONOTONIC, UINT64_MAX for no limit). -ETIMEDOUT, without a text. */
bool jobs_done(const Jobs *jobs);
int jobs_wait(Jobs *jobs, uint64_t until, char **ret_error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/jobs.h"

#include <string.h>

#include "basic/failure.h"
#include "basic/names.h"
#include "basic/str.h"
#include "basic/time.h"

static void job_clear(struct Job *job)
{
        free(job->path);
        free(job->unit);
        free(job->name);
        free(job->result);
}

void jobs_clear(Jobs *jobs)
{
        sd_bus_slot_unref(jobs->match);
        for (size_t i = 0; i < jobs->n; i++)
                job_clear(jobs->items + i);
        free(jobs->items);
        *jobs = (Jobs){};
}

/* A job may end before the answer that names it has been read. Signals are dispatched only in jobs_wait(),
 * when all jobs are known, so no end is missed. */
static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Jobs *jobs = userdata;
        const char *path, *unit, *result;

        (void) error;
        if (sd_bus_message_read(m, "uoss", NULL, &path, &unit, &result) < 0)
                return 0;
        for (size_t i = 0; i < jobs->n; i++)
                if (streq(jobs->items[i].path, path) && !jobs->items[i].result)
                        jobs->items[i].result = strdup(result);
        return 0;
}

int jobs_watch(Jobs *jobs, sd_bus *bus, char **ret_error)
{
        int r;

        if (jobs->bus)
                return 0;
        r = sd_bus_match_signal_async(bus, &jobs->match, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                      "JobRemoved", on_job_removed, NULL, jobs);
        if (r >= 0)
                r = sd_bus_call_method_async(bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                             "Subscribe", NULL, NULL, "");
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to watch jobs");
        jobs->bus = bus;
        jobs->since = now_usec(CLOCK_REALTIME);
        return 0;
}

int jobs_add(Jobs *jobs, const char *path, const char *unit, const char *name)
{
        struct Job *items = reallocarray(jobs->items, jobs->n + 1, sizeof(*items));

        OOM_CHECK(items);
        jobs->items = items;
        struct Job job = { strdup(path), strdup(unit), strdup(name), NULL };
        if (!job.path || !job.unit || !job.name) {
                job_clear(&job);
                return -ENOMEM;
        }
        items[jobs->n++] = job;
        return 0;
}

bool jobs_done(const Jobs *jobs)
{
        for (size_t i = 0; i < jobs->n; i++)
                if (!jobs->items[i].result)
                        return false;
        return true;
}

int jobs_wait(Jobs *jobs, uint64_t until, char **ret_error)
{
        while (!jobs_done(jobs)) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                if (now >= until)
                        return -ETIMEDOUT;
                int r = sd_bus_process(jobs->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(jobs->bus, until == UINT64_MAX ? until : until - now);
                if (r < 0 && r != -EINTR)
                        return set_failure_errno(ret_error, r, "Failed to wait for systemd");
        }
        return 0;
}

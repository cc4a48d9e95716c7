/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/sweep.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/machine.h"
#include "manager/start.h"

#define SWEEP_DELAY_USEC (500 * USEC_PER_MSEC)

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* Claims of a machine that has ended block nothing, so the sweep can wait. */
static void sweep_soon(Sweeper *s)
{
        int r, enabled = SD_EVENT_OFF;

        if (!s->source)
                r = sd_event_add_time_relative(s->manager->event, &s->source, CLOCK_MONOTONIC,
                                               SWEEP_DELAY_USEC, 0, on_timer, s);
        else {
                (void) sd_event_source_get_enabled(s->source, &enabled);
                if (enabled != SD_EVENT_OFF)
                        return;
                r = sd_event_source_set_time_relative(s->source, SWEEP_DELAY_USEC);
                if (r >= 0)
                        r = sd_event_source_set_enabled(s->source, SD_EVENT_ONESHOT);
        }
        if (r < 0)
                log_error_errno(r, "Failed to set a timer");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Sweeper *s = userdata;
        int r = claim_sweep(s->manager->run_fd);

        (void) source;
        (void) usec;
        if (r == -EWOULDBLOCK)
                sweep_soon(s); /* a machine starts or ends now, and has the lock */
        else if (r < 0)
                log_error_errno(r, "Failed to drop the claims of machines that are gone");
        return 0;
}

static void on_unit_removed(void *userdata)
{
        Sweeper *s = userdata;

        s->sweep_dirs = true;
        sweep_soon(s);
}

/* A machine that was started in the meantime is pending, or the refresh has found it. */
static void on_refreshed(void *userdata)
{
        Sweeper *s = userdata;
        const Manager *manager = s->manager;
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int fd;

        if (!s->sweep_dirs)
                return;
        fd = machine_dir_open(manager->run_fd, MACHINE_UNIT_TRANSIENT, ".", false);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                const Machine *m = e->d_name[0] == '.' ? NULL : manager_find(manager, e->d_name);
                if (e->d_name[0] != '.' && (!m || m->kind != MACHINE_UNIT_TRANSIENT) &&
                    !start_is_pending(manager, e->d_name) &&
                    machine_dir_remove(manager->run_fd, MACHINE_UNIT_TRANSIENT, e->d_name) >= 0)
                        log_info("Removed what was left of machine '%s'.", e->d_name);
        }
        s->sweep_dirs = false;
}

void sweeper_begin(Sweeper *s, Manager *manager)
{
        *s = (Sweeper){
                .manager = manager,
                .observer = { .unit_removed = on_unit_removed, .refreshed = on_refreshed, .userdata = s }
        };
        manager_observe(manager, &s->observer);
        sweep_soon(s);
}

void sweeper_end(Sweeper *s)
{
        s->source = sd_event_source_disable_unref(s->source);
}

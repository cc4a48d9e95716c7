/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/os-name.h"

#include <string.h>

#include "basic/log.h"
#include "manager/machine.h"
#include "manager/worker.h"

/* The machine whose OS name is read. It may end in the meantime. */
typedef struct Reading {
        Manager *manager;
        char *name;
        Target target;
} Reading;

static void reading_free(Reading *r)
{
        free(r->name);
        free(r);
}
DEFINE_CLEANUP(Reading *, reading_free);

/* Chooses the field as os_release_read() does. */
static const char *choose_name(const OsReleaseAnswer *answer)
{
        static const char *const keys[] = { "PRETTY_NAME", "NAME", "ID" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                for (char **field = answer->fields; field && field[0]; field += 2)
                        if (streq(field[0], keys[i]))
                                return field[1];
        return "";
}

static void on_finished(void *userdata, const WorkResult *result)
{
        _cleanup_(reading_free_cleanup) Reading *r = userdata;
        Machine *m = manager_find(r->manager, r->name);

        if (!m || m->record.leader != r->target.leader || m->record.start_time != r->target.start_time)
                return;
        (void) free_and_strdup(&m->os, result->error == 0 ? choose_name(result->answer) : "");
}

static int begin_reading(Manager *manager, const Machine *m)
{
        _cleanup_(reading_free_cleanup) Reading *reading = calloc(1, sizeof(Reading));
        int r;

        OOM_CHECK(reading);
        *reading = (Reading){ manager, strdup(m->name), { m->record.leader, m->record.start_time } };
        OOM_CHECK(reading->name);
        r = worker_run(manager,
                       &(WorkerTask){ .work = WORK_OS_RELEASE,
                                      .request = &(OsReleaseRequest){ reading->target, 0 },
                                      .uid = manager->scope->owner,
                                      .data_fd = -EBADF,
                                      .finished = on_finished,
                                      .userdata = reading },
                       NULL);
        if (r < 0)
                return r;
        TAKE_PTR(reading);
        return 0;
}

/* For the machine of a user, nothing is read: the user could show files there that only root may read. */
static void on_machine_changed(void *userdata, Machine *m, bool there)
{
        Manager *manager = userdata;
        int r;

        if (!there || m->os || !m->record.handed_over || !streq(m->class, "container") ||
            (m->foreign && m->owner != manager->scope->owner))
                return;
        r = begin_reading(manager, m);
        if (r < 0)
                (void) log_debug_errno(r, "Failed to read the operating system of machine '%s'", m->name);
}

void os_names_observe(Manager *manager, Observer *observer)
{
        *observer = (Observer){ .machine_changed = on_machine_changed, .userdata = manager };
        manager_observe(manager, observer);
}

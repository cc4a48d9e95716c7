/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/machined.h"

#include <systemd/sd-login.h>
#include <unistd.h>

#include "basic/log.h"
#include "basic/process.h"
#include "manager/foreign.h"
#include "manager/machine-control.h"

/* A machine that has been unregistered stays known until systemd-machined has handled its queue. */
#define TRIES_MAX 16U

/* A question about a machine of mctl. The machine may end before the answer comes. */
typedef struct Query {
        Manager *manager;
        char *name;
        unsigned tries; /* number of earlier attempts */
} Query;

static void query_free(Query *q)
{
        free(q->name);
        free(q);
}
DEFINE_CLEANUP(Query *, query_free);

static Query *query_new(Manager *manager, const char *name, unsigned tries)
{
        Query *q = calloc(1, sizeof(Query));

        if (!q)
                return NULL;
        *q = (Query){ manager, strdup(name), tries };
        if (q->name)
                return q;
        query_free(q);
        return NULL;
}

static Machine *find(const Query *q)
{
        Machine *m = manager_find(q->manager, q->name);

        return m && !m->foreign && m->published ? m : NULL;
}

/* --- registration -------------------------------------------------------------------------------------- */

static int register_it(const Machine *m, unsigned tries);

static void register_again(const Query *q, const Machine *m)
{
        int r = register_it(m, q->tries);

        if (r < 0)
                log_warning_errno(r, "Failed to register machine '%s' with systemd-machined", m->name);
}

/* Tells that a known machine has been removed, unless this is known. */
static void on_unregistered(void *userdata, MachinedResult result, const char *message)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        const Machine *m = find(q);

        (void) message;
        if (m && (result == MACHINED_DONE || result == MACHINED_UNKNOWN))
                register_again(q, m);
}

/* The name of a new machine exists in systemd-machined: for an earlier run of the machine, for an earlier
 * machine of mctl of which no signal will come, or for a machine of another program. */
static void on_exists(void *userdata, MachinedResult result, const MachinedMachine *known)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        const Machine *m = find(q);

        if (m && result == MACHINED_UNKNOWN)
                return register_again(q, m);
        if (!m || result != MACHINED_DONE)
                return;
        if (!streq(known->service, "mctl")) {
                log_warning("systemd-machined has another machine '%s'.", q->name);
                return;
        }
        if ((pid_t) known->leader == m->record.leader &&
            (known->supervisor == 0 || (pid_t) known->supervisor == getpid()))
                return;
        if (machined_unregister(q->manager->bus, q->name, on_unregistered, q) >= 0)
                TAKE_PTR(q);
}

static void on_registered(void *userdata, MachinedResult result, const char *message)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;

        if (result == MACHINED_EXISTS && q->tries < TRIES_MAX) {
                if (machined_ask(q->manager->bus, q->name, on_exists, q) >= 0)
                        TAKE_PTR(q);
        } else if (result != MACHINED_DONE)
                log_warning("systemd-machined says of machine '%s': %s", q->name, strna(message));
}

static int register_it(const Machine *m, unsigned tries)
{
        _cleanup_(query_free_cleanup) Query *q = query_new(m->manager, m->name, tries + 1);
        int r;

        OOM_CHECK(q);
        r = machined_register(m->manager->bus, m->name, m->record.uuid, m->record.leader, m->record.root,
                              on_registered, q);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 0;
}

/* systemd-machined finds out by itself that a machine of mctl has ended. */
static void on_published(void *userdata, Machine *m, bool there)
{
        int r = 0;

        (void) userdata;
        if (there && !m->foreign && m->manager->provider == PROVIDER_OTHERS)
                r = register_it(m, 0);
        if (r < 0)
                log_warning_errno(r, "Failed to register machine '%s' with systemd-machined", m->name);
}

/* --- ends ---------------------------------------------------------------------------------------------- */

/* systemd-machined also sends SIGTERM when a machine ends by itself, and when systemd stops or restarts its
 * unit. Then the leader is dead, or the unit is deactivating. */
static void on_active(void *userdata, const sd_bus_error *error, const char *state)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        Machine *m = find(q);

        if (m && !error && !streq(state, "deactivating") && record_alive(&m->record))
                (void) machine_power_off_quietly(m);
}

static void on_state(void *userdata, MachinedResult result, const MachinedMachine *known)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        const Machine *m = find(q);

        if (!m || result != MACHINED_DONE || !streq(known->state, "closing") ||
            (pid_t) known->leader != m->record.leader)
                return;
        if (systemd_ask_state(q->manager->systemd, m->unit, on_active, q) >= 0)
                TAKE_PTR(q);
}

bool mirror_has_signalled(Mirror *mirror, pid_t sender)
{
        Manager *manager = mirror->manager;
        _cleanup_free_ char *unit = NULL;

        /* The machine may have ended already. */
        if (!manager || manager->provider != PROVIDER_OTHERS ||
            (sd_pid_get_unit(sender, &unit) >= 0 && !streq(unit, MACHINED_UNIT)))
                return false;
        for (size_t i = 0; i < manager->n_machines; i++) {
                const Machine *m = manager->machines[i];
                _cleanup_(query_free_cleanup)
                        Query *q = m->published && !m->foreign ? query_new(manager, m->name, 0) : NULL;
                if (q && machined_ask(manager->bus, m->name, on_state, q) >= 0)
                        TAKE_PTR(q);
        }
        return true;
}

/* --- what systemd-machined tells ----------------------------------------------------------------------- */

static int machine_of_known(Manager *manager, const MachinedMachine *known, Machine **ret)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(manager);

        OOM_CHECK(m);
        m->name = strdup(known->name);
        m->service = strdup(known->service);
        m->class = strdup(known->class);
        m->unit = strdup(known->unit);
        m->record.root = known->root[0] ? strdup(known->root) : NULL;
        if (!m->name || !m->service || !m->class || !m->unit || (known->root[0] && !m->record.root))
                return -ENOMEM;
        m->record.leader = (pid_t) known->leader;
        m->record.since = known->since;
        m->record.handed_over = true;
        *ret = TAKE_PTR(m);
        return 0;
}

/* Machines of mctl are known by their units already. */
static void on_known(void *userdata, MachinedResult result, const MachinedMachine *known)
{
        Manager *manager = userdata;
        _cleanup_(machine_free_cleanup) Machine *m = NULL;

        if (result != MACHINED_DONE || isempty(known->name) || isempty(known->unit) ||
            streq(known->service, "mctl") || streq(known->class, "host") || known->leader <= 1 ||
            known->leader > INT32_MAX || manager_find(manager, known->name) ||
            machine_of_known(manager, known, &m) < 0 ||
            process_start_time(m->record.leader, &m->record.start_time) < 0)
                return;
        if (foreign_add(m) >= 0)
                TAKE_PTR(m);
}

static void on_removed(void *userdata, const char *name)
{
        Manager *manager = userdata;

        for (size_t i = 0; i < manager->n_machines; i++)
                if (manager->machines[i]->foreign && streq(manager->machines[i]->name, name))
                        return manager_remove(manager, manager->machines[i]);
}

int mirror_begin(Mirror *mirror, Manager *manager)
{
        *mirror = (Mirror){ .manager = manager,
                            .observer = { .machine_published = on_published },
                            .events = { on_known, on_removed, manager } };
        manager_observe(manager, &mirror->observer);
        return machined_follow(manager->bus, &mirror->events);
}

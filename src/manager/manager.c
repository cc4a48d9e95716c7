/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/manager.h"

#include "basic/fd.h"
#include "basic/list.h"
#include "basic/log.h"
#include "basic/random.h"
#include "manager/machine.h"

/* Changes within this time lead to one refresh. */
#define REFRESH_DELAY_USEC (20 * USEC_PER_MSEC)
#define IDLE_USEC          (30 * USEC_PER_SEC)
/* The limit of calls that wait for a listing: in all, and of a user who does not own the scope. */
#define WAITING_MAX         4096U
#define WAITING_OF_USER_MAX 256U

static int refresh_start(Manager *m);

int manager_new(const Scope *scope, sd_event *event, sd_bus *bus, Manager **ret)
{
        _cleanup_(manager_free_cleanup) Manager *m = calloc(1, sizeof(Manager));
        int r;

        OOM_CHECK(m);
        *m = (Manager){
                .scope = scope,
                .event = event,
                .bus = bus,
                .run_fd = -EBADF,
                /* The next registry does not use numbers of earlier transfers again. */
                .last_transfer = random_u64() & 0xffffff,
        };
        m->host = machine_new(m);
        OOM_CHECK(m->host);
        m->host->name = strdup(HOST_NAME);
        OOM_CHECK(m->host->name);
        r = systemd_new(bus, &m->systemd);
        if (r < 0)
                return r;
        m->run_fd = run_dir_open(scope);
        if (m->run_fd < 0)
                return log_debug_errno(m->run_fd, "Failed to open '%s'", scope->run_dir);
        *ret = TAKE_PTR(m);
        return 0;
}

void manager_free(Manager *m)
{
        for (size_t i = 0; i < m->n_machines; i++)
                machine_free(m->machines[i]);
        if (m->host)
                machine_free(m->host);
        for (Call *call; (call = m->waiting ?: m->waiting_next);) {
                *(m->waiting ? &m->waiting : &m->waiting_next) = call->next;
                call_free(call);
        }
        free(m->machines);
        sd_event_source_disable_unref(m->refresh_source);
        sd_event_source_disable_unref(m->idle_source);
        if (m->systemd)
                systemd_free(m->systemd);
        fd_close(m->run_fd);
        free(m);
}

void manager_observe(Manager *m, Observer *observer)
{
        LIST_APPEND(&m->observers, observer);
}

Machine *manager_find(const Manager *m, const char *name)
{
        Machine *failed = NULL;

        for (size_t i = 0; i < m->n_machines; i++) {
                if (!streq(m->machines[i]->name, name))
                        continue;
                if (m->machines[i]->state != MACHINE_FAILED)
                        return m->machines[i];
                failed = m->machines[i];
        }
        return failed;
}

Machine *manager_find_registered(const Manager *manager, const char *name)
{
        Machine *m = manager_find(manager, name);

        return m && machine_is_registered(m) ? m : NULL;
}

/* --- what is told of machines -------------------------------------------------------------------------- */

static void publish(Manager *m, Machine *machine, bool there)
{
        pid_t leader = there && machine->record.handed_over ? machine->record.leader : 0;

        if (leader == machine->published || m->provider == PROVIDER_NONE)
                return;
        /* If a machine was started again, no refresh may have seen its end. */
        bool known = machine->published;
        machine->published = 0;
        if (known)
                OBSERVERS_TELL(m, machine_published, machine, false);
        machine->published = leader;
        if (leader)
                OBSERVERS_TELL(m, machine_published, machine, true);
}

static void announce(Manager *m, Machine *machine)
{
        bool there = machine->seen && machine->state != MACHINE_FAILED;

        if (there != machine->announced) {
                machine->announced = there;
                OBSERVERS_TELL(m, machine_changed, machine, there);
        }
        publish(m, machine, there);
}

void manager_set_provider(Manager *m, Provider provider)
{
        m->provider = provider;
        for (size_t i = 0; i < m->n_machines; i++)
                publish(m, m->machines[i], m->machines[i]->announced);
}

static void check_freezer(Machine *machine)
{
        if (machine_check_freezer(machine))
                OBSERVERS_TELL(machine->manager, machine_paused, machine);
}

/* --- machines and their units -------------------------------------------------------------------------- */

static Machine *find_unit(const Manager *m, const char *unit)
{
        for (size_t i = 0; i < m->n_machines; i++)
                if (!m->machines[i]->foreign && streq(m->machines[i]->unit, unit))
                        return m->machines[i];
        return NULL;
}

static void on_unit_changed(void *userdata, const char *unit, const char *freezer)
{
        Manager *m = userdata;
        Machine *machine = freezer && !streq(freezer, "running") ? find_unit(m, unit) : NULL;

        if (machine)
                machine->watch_freezer = true;
        manager_refresh_soon(m);
}

static int insert(Manager *m, Machine *machine)
{
        Machine **p = reallocarray(m->machines, m->n_machines + 1, sizeof(Machine *));

        OOM_CHECK(p);
        m->machines = p;
        p[m->n_machines++] = machine;
        return 0;
}

int manager_add(Manager *m, Machine *machine)
{
        int r = insert(m, machine);

        if (r < 0)
                return r;
        announce(m, machine);
        return 0;
}

void manager_remove(Manager *m, Machine *machine)
{
        machine->seen = false;
        announce(m, machine);
        for (size_t i = 0; i < m->n_machines; i++)
                if (m->machines[i] == machine) {
                        m->machines[i] = m->machines[--m->n_machines];
                        break;
                }
        machine_free(machine);
}

/* Adds a new machine of mctl. Returns NULL for a unit of a user with such a name. */
static int make_of_unit(Manager *m, const char *unit, Machine **ret)
{
        _cleanup_(machine_free_cleanup) Machine *machine = machine_new(m);
        Machine *taken;
        int r;

        OOM_CHECK(machine);
        *ret = NULL;
        r = machine_name_from_unit(unit, &machine->name, &machine->kind);
        if (r < 0)
                return r == -EINVAL ? 0 : r;
        /* If a machine of that name was registered before, the name now belongs to the unit of mctl. */
        while ((taken = manager_find(m, machine->name)) && taken->foreign)
                manager_remove(m, taken);
        machine->owns_unit = true;
        machine->unit = strdup(unit);
        machine->class = strdup("container");
        machine->service = strdup("mctl");
        if (!machine->unit || !machine->class || !machine->service)
                return -ENOMEM;
        r = systemd_watch_unit(m->systemd, unit, on_unit_changed, m, &machine->changed_slot);
        if (r < 0)
                return r;
        r = insert(m, machine);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(machine);
        return 0;
}

static int take_unit(Manager *m, const char *unit, const char *active)
{
        static const struct {
                const char *active;
                MachineState state;
        } states[] = {
                { "active", MACHINE_RUNNING },        { "reloading", MACHINE_RUNNING },
                { "refreshing", MACHINE_RUNNING },    { "activating", MACHINE_STARTING },
                { "deactivating", MACHINE_STOPPING }, { "failed", MACHINE_FAILED },
        };
        Machine *machine = find_unit(m, unit);
        size_t i = 0;
        int r;

        while (i < ELEMENTSOF(states) && !streq(active, states[i].active))
                i++;
        if (i == ELEMENTSOF(states))
                return 0; /* inactive */
        if (!machine) {
                r = make_of_unit(m, unit, &machine);
                if (r < 0 || !machine)
                        return r;
        }
        machine->state = states[i].state;
        machine->seen = true;
        /* The machine has ended as requested: the next refresh removes it. */
        if (machine->state == MACHINE_FAILED && machine->forget) {
                systemd_reset_failed(m->systemd, unit);
                machine->state = MACHINE_STOPPING;
                machine->forget = false;
        }
        if (machine->watch_freezer)
                check_freezer(machine);
        r = machine_read(machine);
        if (r < 0)
                log_warning_errno(r, "Failed to read the record of machine '%s'", machine->name);
        return 0;
}

int manager_add_unit(Manager *m, const char *unit)
{
        int r = take_unit(m, unit, "activating");
        Machine *machine = find_unit(m, unit);

        if (r < 0 || !machine)
                return r;
        machine->recent = m->refreshing;
        if (machine->recent)
                manager_refresh_soon(m);
        announce(m, machine);
        return 0;
}

/* --- refreshing ---------------------------------------------------------------------------------------- */

static int take_units(Manager *m, const UnitState *units, size_t n)
{
        size_t kept = 0;

        for (size_t i = 0; i < m->n_machines; i++) {
                m->machines[i]->seen = m->machines[i]->recent || m->machines[i]->foreign;
                m->machines[i]->recent = false;
        }
        for (size_t i = 0; i < n; i++) {
                int r = take_unit(m, units[i].name, units[i].active);
                if (r < 0)
                        return r;
        }
        /* An observer may look at all machines, so the list is complete when observers are told. */
        for (size_t i = 0; i < m->n_machines; i++)
                announce(m, m->machines[i]);
        for (size_t i = 0; i < m->n_machines; i++)
                if (m->machines[i]->seen)
                        m->machines[kept++] = m->machines[i];
                else
                        machine_free(m->machines[i]);
        m->n_machines = kept;
        OBSERVERS_TELL(m, refreshed);
        return 0;
}

static void resume(Manager *m, Call *calls)
{
        while (calls) {
                Call *call = calls;
                calls = call->next;
                call->next = NULL;
                m->n_waiting--;
                call->resume(call);
        }
}

static void on_units(void *userdata, int error, const UnitState *units, size_t n)
{
        Manager *m = userdata;
        Call *calls = m->waiting;
        int r;

        m->waiting = NULL;
        m->refreshing = false;
        r = error < 0 ? error : take_units(m, units, n);
        if (r < 0)
                log_error_errno(r, "Failed to list the units of machines");
        /* Calls that came after this listing had begun get the next one. */
        if (m->refresh_again) {
                m->refresh_again = false;
                m->waiting = m->waiting_next;
                m->waiting_next = NULL;
                r = refresh_start(m);
                if (r < 0) {
                        log_error_errno(r, "Failed to list the units of machines");
                        manager_refresh_soon(m);
                }
        }
        resume(m, calls);
}

static int refresh_start(Manager *m)
{
        int r;

        if (m->refreshing) {
                m->refresh_again = true;
                return 0;
        }
        r = systemd_list_units(m->systemd, machine_unit_patterns, on_units, m);
        if (r < 0)
                return r;
        m->refreshing = true;
        return 0;
}

static unsigned count_waiting(const Manager *m, uid_t uid)
{
        unsigned n = 0;

        for (const Call *call = m->waiting; call; call = call->next)
                n += call->caller.uid == uid;
        for (const Call *call = m->waiting_next; call; call = call->next)
                n += call->caller.uid == uid;
        return n;
}

void manager_refresh_then(Manager *m, Call *call, void (*run)(Call *call))
{
        bool under_way = m->refreshing;
        uid_t uid = call->caller.uid;
        int r;

        if (uid != m->scope->owner &&
            (m->n_waiting >= WAITING_MAX || count_waiting(m, uid) >= WAITING_OF_USER_MAX))
                return call_fail(call, ERROR_LIMIT,
                                 "%u calls of this user, or %u in all, are waiting for a list of machines; "
                                 "try again later.",
                                 WAITING_OF_USER_MAX, WAITING_MAX);
        r = refresh_start(m);
        if (r < 0)
                return call_fail_errno(call, r, "Failed to list the units of machines");
        LIST_APPEND(under_way ? &m->waiting_next : &m->waiting, call);
        call->resume = run;
        m->n_waiting++;
}

/* --- timers -------------------------------------------------------------------------------------------- */

static int arm(Manager *m, sd_event_source **source, uint64_t delay, sd_event_time_handler_t handler)
{
        int r;

        if (!*source)
                return sd_event_add_time_relative(m->event, source, CLOCK_MONOTONIC, delay, 0, handler, m);
        r = sd_event_source_set_time_relative(*source, delay);
        return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

/* The timer is not reset: otherwise, a steady stream of changes would delay the refresh for ever. */
static void arm_once(Manager *m, sd_event_source **source, uint64_t delay, sd_event_time_handler_t handler)
{
        int r, enabled = SD_EVENT_OFF;

        if (*source)
                (void) sd_event_source_get_enabled(*source, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        r = arm(m, source, delay, handler);
        if (r < 0)
                log_error_errno(r, "Failed to set a timer");
}

static int on_refresh_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        int r = refresh_start(userdata);

        (void) source;
        (void) usec;
        if (r < 0)
                log_error_errno(r, "Failed to list the units of machines");
        return 0;
}

void manager_refresh_soon(Manager *m)
{
        arm_once(m, &m->refresh_source, REFRESH_DELAY_USEC, on_refresh_timer);
}

bool manager_is_idle(const Manager *m)
{
        for (size_t i = 0; i < m->n_machines; i++)
                if (m->machines[i]->state != MACHINE_FAILED)
                        return false;
        return m->n_pending == 0 && m->n_waiting == 0 && !m->workers && systemd_pending(m->systemd) == 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        (void) source;
        (void) usec;
        if (!manager_is_idle(m))
                manager_touch(m);
        else
                OBSERVERS_TELL(m, idle);
        return 0;
}

void manager_touch(Manager *m)
{
        int r = arm(m, &m->idle_source, IDLE_USEC, on_idle);

        if (r < 0)
                log_error_errno(r, "Failed to set the idle timer");
}

/* --- the beginning ------------------------------------------------------------------------------------- */

static void on_unit_event(void *userdata, const char *unit, bool removed)
{
        Manager *m = userdata;

        if (!startswith(unit, "machine-") && !startswith(unit, "container@"))
                return;
        if (removed)
                OBSERVERS_TELL(m, unit_removed);
        manager_refresh_soon(m);
}

static void on_systemd_answer(void *userdata)
{
        manager_touch(userdata);
}

int manager_setup(Manager *m, const char *unit)
{
        int r;

        systemd_on_answer(m->systemd, on_systemd_answer, m);
        r = systemd_watch(m->systemd, on_unit_event, m);
        if (r < 0)
                return log_error_errno(r, "Failed to watch the units of systemd");
        r = refresh_start(m);
        if (r < 0)
                return log_error_errno(r, "Failed to ask systemd for machines");
        r = systemd_set_types_unit(m->systemd, unit);
        if (r < 0)
                return log_oom();
        /* No call is answered before all machines are known: an early call waits for a listing, too. */
        while (m->refreshing) {
                r = sd_event_run(m->event, UINT64_MAX);
                if (r < 0)
                        return log_error_errno(r, "Failed to run the event loop");
        }
        /* A machine may have been paused while no registry ran. A machine that is starting is not paused. */
        for (size_t i = 0; i < m->n_machines; i++)
                check_freezer(m->machines[i]);
        manager_touch(m);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/random.h"
#include "registry/console.h"
#include "registry/machine1.h"
#include "registry/resolve-hook.h"
#include "registry/start.h"
#include "registry/transfer.h"
#include "registry/varlink.h"

/* What happens within this time leads to one refresh. */
#define REFRESH_DELAY_USEC (20 * USEC_PER_MSEC)
#define SWEEP_DELAY_USEC   (500 * USEC_PER_MSEC)
#define IDLE_USEC          (30 * USEC_PER_SEC)
/* Calls that wait for a listing. */
#define WAITERS_MAX 4096U

static int refresh_start(Registry *registry);

Registry *registry_new(void)
{
        Registry *registry = malloc(sizeof(Registry));

        if (registry)
                /* Numbers of transfers are not given again when we are started anew. */
                *registry = (Registry){ .run_fd = -EBADF, .last_transfer = random_u64() & 0xffffff };
        if (registry)
                registry->host = (Machine){ .registry = registry,
                                            .name = (char *) HOST_NAME,
                                            .leader_fd = -EBADF };
        return registry;
}

static void waiter_free(Waiter *w)
{
        sd_bus_message_unref(w->call);
        if (w->held)
                varlink_release(w->held);
        free(w);
}
DEFINE_CLEANUP(Waiter *, waiter_free);

static void free_waiters(Waiter *w)
{
        while (w) {
                Waiter *next = w->next;
                waiter_free(w);
                w = next;
        }
}

void registry_free(Registry *registry)
{
        varlink_free(registry->userdb_server);
        varlink_free(registry->machine_server);
        resolve_hook_free(registry);
        for (size_t i = 0; i < registry->n_machines; i++)
                machine_free(registry->machines[i]);
        free_waiters(registry->waiters);
        free_waiters(registry->next_waiters);
        consoles_free(registry);
        transfers_free(registry);
        free(registry->machines);
        free(registry->property_types);
        sd_event_source_unref(registry->refresh_source);
        sd_event_source_unref(registry->idle_source);
        sd_event_source_unref(registry->sweep_source);
        sd_bus_slot_unref(registry->refresh_slot);
        sd_bus_flush_close_unref(registry->bus);
        sd_event_unref(registry->event);
        fd_close(registry->run_fd);
        free(registry);
}

Machine *registry_find(Registry *registry, const char *name)
{
        Machine *failed = NULL;

        for (size_t i = 0; i < registry->n_machines; i++) {
                Machine *m = registry->machines[i];
                if (!streq(m->name, name))
                        continue;
                if (m->state != MACHINE_FAILED)
                        return m;
                failed = m;
        }
        return failed;
}

static void emit(Registry *registry, const char *signal, const Machine *machine)
{
        _cleanup_free_ char *path = machine_path(machine->name);
        int r;

        r = path ? sd_bus_emit_signal(registry->bus, REGISTRY_PATH, REGISTRY_INTERFACE, signal, "so",
                                      machine->name, path)
                 : -ENOMEM;
        if (r < 0)
                log_warning_errno(r, "Failed to send %s for machine '%s'", signal, machine->name);
}

/* MachineNew and MachineRemoved are about machines that are there: a failed one is a memory. */
static void announce(Registry *registry, Machine *machine)
{
        bool there = machine->seen && machine->state != MACHINE_FAILED;

        if (there != machine->announced)
                emit(registry, there ? "MachineNew" : "MachineRemoved", machine);
        machine->announced = there;
        machine1_publish(registry, machine, there);
}

static Machine *find_unit(Registry *registry, const char *unit)
{
        for (size_t i = 0; i < registry->n_machines; i++)
                if (!registry->machines[i]->foreign && streq(registry->machines[i]->unit, unit))
                        return registry->machines[i];
        return NULL;
}

/* What the listing does not say: whether the freezer has the unit. systemd before 256 tells nobody. */
static int look_for_freezer(Registry *registry, sd_bus_message *signal)
{
        _cleanup_free_ char *unit = NULL;
        const char *key, *state;
        int r;

        r = sd_bus_message_skip(signal, "s");
        if (r >= 0)
                r = sd_bus_message_enter_container(signal, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(signal, 'e', "sv")) > 0) {
                r = sd_bus_message_read(signal, "s", &key);
                if (r >= 0 && streq(key, "FreezerState")) {
                        r = sd_bus_message_read(signal, "v", "s", &state);
                        if (r < 0 || streq(state, "running"))
                                return r;
                        r = sd_bus_path_decode(sd_bus_message_get_path(signal), SYSTEMD_PATH "/unit", &unit);
                        Machine *m = r > 0 ? find_unit(registry, unit) : NULL;
                        if (m)
                                m->watch_freezer = true;
                        return r;
                }
                if (r >= 0)
                        r = sd_bus_message_skip(signal, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(signal);
        }
        return r;
}

static int on_unit_changed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        (void) ret_error;
        (void) look_for_freezer(userdata, signal);
        registry_refresh_soon(userdata);
        return 0;
}

static int insert(Registry *registry, Machine *machine)
{
        Machine **p = reallocarray(registry->machines, registry->n_machines + 1, sizeof(Machine *));

        OOM_CHECK(p);
        registry->machines = p;
        p[registry->n_machines++] = machine;
        return 0;
}

static int add_unit(Registry *registry, const char *unit, Machine **ret)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(registry);
        _cleanup_free_ char *path = NULL;
        Machine *taken;
        int r;

        OOM_CHECK(m);
        r = machine_name_from_unit(unit, &m->name, &m->kind);
        if (r == -EINVAL) {
                *ret = NULL; /* somebody's unit that is called alike */
                return 0;
        }
        if (r < 0)
                return r;
        /* Whoever registered that name before, it is that of a unit of ours now. */
        while ((taken = registry_find(registry, m->name)) && taken->foreign)
                registry_remove(registry, taken);
        m->owns_unit = true;
        m->unit = strdup(unit);
        m->class = strdup("container");
        m->service = strdup("mctl");
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_match_signal_async(registry->bus, &m->changed_slot, SYSTEMD_NAME, path,
                                              "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                              on_unit_changed, NULL, registry);
        if (r < 0)
                return r;
        if (!m->unit || !m->class || !m->service)
                return -ENOMEM;
        r = insert(registry, m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int registry_add(Registry *registry, Machine *machine)
{
        int r = insert(registry, machine);

        if (r >= 0)
                announce(registry, machine);
        return r;
}

void registry_remove(Registry *registry, Machine *machine)
{
        machine->seen = false;
        announce(registry, machine);
        for (size_t i = 0; i < registry->n_machines; i++)
                if (registry->machines[i] == machine) {
                        registry->machines[i] = registry->machines[--registry->n_machines];
                        break;
                }
        machine_free(machine);
}

void registry_reset_failed(Registry *registry, const char *unit)
{
        (void) sd_bus_call_method_async(registry->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                        "ResetFailedUnit", NULL, NULL, "s", unit);
}

static int take_unit(Registry *registry, const char *unit, const char *active)
{
        static const struct {
                const char *active;
                MachineState state;
        } states[] = {
                { "active", MACHINE_RUNNING },        { "reloading", MACHINE_RUNNING },
                { "refreshing", MACHINE_RUNNING },    { "activating", MACHINE_STARTING },
                { "deactivating", MACHINE_STOPPING }, { "failed", MACHINE_FAILED },
        };
        Machine *m = find_unit(registry, unit);
        int r;

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                if (!streq(active, states[i].active))
                        continue;
                if (!m) {
                        r = add_unit(registry, unit, &m);
                        if (r < 0 || !m)
                                return r;
                }
                m->state = states[i].state;
                m->seen = true;
                /* Ended as it was told to: it is gone by the next refresh. */
                if (m->state == MACHINE_FAILED && m->forget) {
                        registry_reset_failed(registry, unit);
                        m->state = MACHINE_STOPPING;
                        m->forget = false;
                }
                r = machine_read(m);
                if (r < 0)
                        log_warning_errno(r, "Failed to read the record of machine '%s'", m->name);
                return 0;
        }
        return 0; /* inactive */
}

int registry_add_unit(Registry *registry, const char *unit)
{
        int r = take_unit(registry, unit, "activating");
        Machine *m = find_unit(registry, unit);

        if (r < 0 || !m)
                return r;
        m->recent = registry->refresh_slot != NULL;
        if (m->recent)
                registry_refresh_soon(registry);
        announce(registry, m);
        return 0;
}

/* systemd keeps the directory of a unit that is stopped while it waits for a restart. Whatever was started in the meantime is pending, or
 * was seen. */
static void sweep_dirs(Registry *registry)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int fd = machine_dir_open(registry->run_fd, MACHINE_UNIT_TRANSIENT, ".", false);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                const Machine *m = e->d_name[0] == '.' ? NULL : registry_find(registry, e->d_name);
                if (e->d_name[0] != '.' && (!m || m->kind != MACHINE_UNIT_TRANSIENT) &&
                    !start_is_pending(registry, e->d_name) &&
                    machine_dir_remove(registry->run_fd, MACHINE_UNIT_TRANSIENT, e->d_name) >= 0)
                        log_info("Removed what was left of machine '%s'.", e->d_name);
        }
        registry->sweep_dirs = false;
}

static int take_units(Registry *registry, sd_bus_message *reply)
{
        const char *unit, *active, *job;
        int r;

        for (size_t i = 0; i < registry->n_machines; i++) {
                registry->machines[i]->seen = registry->machines[i]->recent ||
                                              registry->machines[i]->foreign;
                registry->machines[i]->recent = false;
        }

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, NULL, &active, NULL, NULL, NULL,
                                        NULL, &job, NULL)) > 0) {
                /* systemd has been told, and begins in a moment. */
                if (streq(active, "inactive") && streq(job, "start"))
                        active = "activating";
                r = take_unit(registry, unit, active);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;

        /* Whoever hears of one looks at all of them. */
        for (size_t i = 0; i < registry->n_machines; i++)
                announce(registry, registry->machines[i]);
        size_t kept = 0;
        for (size_t i = 0; i < registry->n_machines; i++) {
                Machine *m = registry->machines[i];
                if (m->seen)
                        registry->machines[kept++] = m;
                else
                        machine_free(m);
        }
        registry->n_machines = kept;
        if (registry->sweep_dirs)
                sweep_dirs(registry);
        consoles_refreshed(registry);
        return 0;
}

static void answer_waiters(Registry *registry, Waiter *waiters)
{
        while (waiters) {
                _cleanup_(waiter_free_cleanup) Waiter *w = waiters;
                waiters = w->next;
                registry->n_waiters--;
                int r = w->handler ? w->handler(registry, w->call) : 0;
                if (r < 0)
                        (void) sd_bus_reply_method_errno(w->call, r, NULL);
        }
}

static int on_units(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Registry *registry = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        Waiter *waiters = registry->waiters;
        int r;

        (void) ret_error;
        registry->waiters = NULL;
        registry->refresh_slot = sd_bus_slot_unref(registry->refresh_slot);

        r = e ? -sd_bus_error_get_errno(e) : take_units(registry, reply);
        if (r < 0)
                log_error_errno(r, "Failed to list the units of machines");
        /* Who asked after this listing had begun is owed the next. */
        if (registry->refresh_again) {
                registry->refresh_again = false;
                registry->waiters = registry->next_waiters;
                registry->next_waiters = NULL;
                r = refresh_start(registry);
                if (r < 0)
                        log_error_errno(r, "Failed to list the units of machines");
        }
        answer_waiters(registry, waiters);
        return 0;
}

static int refresh_start(Registry *registry)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r;

        if (registry->refresh_slot) {
                registry->refresh_again = true;
                return 0;
        }
        r = systemd_call(registry->bus, &request, "ListUnitsByPatterns", "as", 0);
        if (r >= 0)
                r = sd_bus_message_append_strv(request, (char **) machine_unit_patterns);
        if (r >= 0)
                r = sd_bus_call_async(registry->bus, &registry->refresh_slot, request, on_units, registry,
                                      0);
        return r;
}

/* -EUSERS where there are too many. */
static int add_waiter(Registry *registry, Waiter **ret)
{
        Waiter *w, **tail = registry->refresh_slot ? &registry->next_waiters : &registry->waiters;
        int r;

        if (registry->n_waiters >= WAITERS_MAX)
                return -EUSERS;
        r = refresh_start(registry);
        if (r < 0)
                return r;
        w = calloc(1, sizeof(Waiter));
        OOM_CHECK(w);
        while (*tail)
                tail = &(*tail)->next;
        *tail = *ret = w;
        registry->n_waiters++;
        return 1;
}

int registry_refresh_then(Registry *registry, sd_bus_message *call, RefreshedHandler handler)
{
        Waiter *w;
        int r = add_waiter(registry, &w);

        if (r == -EUSERS)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too many calls at once.");
        if (r < 0)
                return r;
        w->call = sd_bus_message_ref(call);
        w->handler = handler;
        return 1;
}

int registry_hold(Registry *registry, VarlinkConnection *c)
{
        Waiter *w;
        int r = add_waiter(registry, &w);

        if (r < 0)
                return r;
        w->held = varlink_hold(c);
        return w->held ? r : -ENOMEM;
}

static int on_refresh_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        int r = refresh_start(userdata);
        if (r < 0)
                log_error_errno(r, "Failed to list the units of machines");
        return 0;
}

/* Sets a timer to run once, from now on. */
static int arm(Registry *registry, sd_event_source **source, uint64_t delay, sd_event_time_handler_t handler)
{
        int r;

        if (!*source)
                return sd_event_add_time_relative(registry->event, source, CLOCK_MONOTONIC, delay, 0,
                                                  handler, registry);
        r = sd_event_source_set_time_relative(*source, delay);
        return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

/* The same, but never put off again: a steady stream of changes must not keep us from seeing them. */
static void arm_once(Registry *registry, sd_event_source **source, uint64_t delay,
                     sd_event_time_handler_t handler)
{
        int r, enabled = SD_EVENT_OFF;

        if (*source)
                (void) sd_event_source_get_enabled(*source, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        r = arm(registry, source, delay, handler);
        if (r < 0)
                log_error_errno(r, "Failed to set a timer");
}

void registry_refresh_soon(Registry *registry)
{
        arm_once(registry, &registry->refresh_source, REFRESH_DELAY_USEC, on_refresh_timer);
}

static void sweep_soon(Registry *registry);

static int on_sweep_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Registry *registry = userdata;
        int r = claim_sweep(registry->run_fd);

        (void) source;
        (void) usec;
        if (r == -EWOULDBLOCK)
                sweep_soon(registry); /* a machine starts or ends just now, and has the lock */
        else if (r < 0)
                log_error_errno(r, "Failed to drop the claims of machines that are gone");
        return 0;
}

/* A unit went: there may be claims of a machine that is gone. They are in nobody's way, so it takes its time. */
static void sweep_soon(Registry *registry)
{
        arm_once(registry, &registry->sweep_source, SWEEP_DELAY_USEC, on_sweep_timer);
}

static bool is_idle(const Registry *registry)
{
        for (size_t i = 0; i < registry->n_machines; i++)
                if (registry->machines[i]->state != MACHINE_FAILED)
                        return false;
        return registry->n_pending == 0 && registry->n_waiters == 0;
}

static int on_name_released(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Registry *registry = userdata;

        /* What was sent to us before the name went has been read by now, and may keep us. */
        (void) reply;
        (void) ret_error;
        if (is_idle(registry))
                return sd_event_exit(registry->event, 0);
        registry_touch(registry);
        machine1_hold(registry);
        return sd_bus_request_name_async(registry->bus, NULL, REGISTRY_NAME, 0, NULL, NULL);
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        Registry *registry = userdata;
        int r;

        (void) source;
        (void) usec;
        if (!is_idle(registry) || machine1_must_stay(registry)) {
                registry_touch(registry);
                return 0;
        }
        machine1_release(registry);
        r = sd_bus_release_name_async(registry->bus, NULL, REGISTRY_NAME, on_name_released, registry);
        return r < 0 ? log_error_errno(r, "Failed to give the name back") : 0;
}

void registry_touch(Registry *registry)
{
        int r = arm(registry, &registry->idle_source, IDLE_USEC, on_idle);
        if (r < 0)
                log_error_errno(r, "Failed to set the idle timer");
}

static int on_unit_signal(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        Registry *registry = userdata;
        const char *unit;

        (void) ret_error;
        if (sd_bus_message_read(signal, "s", &unit) >= 0 &&
            (startswith(unit, "machine-") || startswith(unit, "container@"))) {
                if (streq(sd_bus_message_get_member(signal), "UnitRemoved")) {
                        registry->sweep_dirs = true;
                        sweep_soon(registry);
                }
                registry_refresh_soon(registry);
        }
        return 0;
}

static int watch_systemd(Registry *registry)
{
        static const char *const signals[] = { "UnitNew", "UnitRemoved" };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_bus_match_signal_async(registry->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_MANAGER, signals[i], on_unit_signal, NULL, registry);
                if (r < 0)
                        return r;
        }
        return sd_bus_call_method_async(registry->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                        "Subscribe", NULL, NULL, "");
}

/* Our own service is one that is always there. */
static int read_property_types(Registry *registry)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r;

        r = sd_bus_call_method(registry->bus, SYSTEMD_NAME, SYSTEMD_PATH "/unit/mctl_2dregistryd_2eservice",
                               "org.freedesktop.DBus.Introspectable", "Introspect", NULL, &reply, "");
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        return r < 0 ? r : free_and_strdup(&registry->property_types, text);
}

int registry_setup(Registry *registry)
{
        int r;

        registry->run_fd = run_dir_open();
        if (registry->run_fd < 0)
                return log_error_errno(registry->run_fd, "Failed to open '%s'", RUN_DIR);
        r = sd_event_default(&registry->event);
        if (r < 0)
                return log_error_errno(r, "Failed to make an event loop");
        r = sd_bus_default_system(&registry->bus);
        if (r < 0)
                return log_error_errno(r, "Failed to connect to the system bus");
        r = sd_bus_attach_event(registry->bus, registry->event, 0);
        if (r < 0)
                return log_error_errno(r, "Failed to attach the bus to the event loop");

        r = sd_bus_add_object_vtable(registry->bus, NULL, REGISTRY_PATH, REGISTRY_INTERFACE, registry_vtable,
                                     registry);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(registry->bus, NULL, MACHINE_PATH, MACHINE_INTERFACE,
                                               machine_vtable, machine_object_find, registry);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(registry->bus, NULL, MACHINE_PATH, machine_node_enumerate,
                                               registry);
        if (r < 0)
                return log_error_errno(r, "Failed to publish objects");

        r = consoles_setup(registry);
        if (r < 0)
                return r;
        r = watch_systemd(registry);
        if (r >= 0)
                r = refresh_start(registry);
        if (r < 0)
                return log_error_errno(r, "Failed to ask systemd for machines");
        r = read_property_types(registry);
        if (r < 0)
                return log_error_errno(r, "Failed to ask systemd for the properties of services");

        sweep_soon(registry); /* what went while we were not there */

        /* Nobody is answered before all is known: a call that comes first waits for a listing, too. */
        while (registry->refresh_slot) {
                r = sd_event_run(registry->event, UINT64_MAX);
                if (r < 0)
                        return log_error_errno(r, "Failed to run the event loop");
        }
        /* Some may have been paused while we were not there; one that starts is not. */
        for (size_t i = 0; i < registry->n_machines; i++)
                machine_check_freezer(registry->machines[i]);
        r = machine1_setup(registry);
        if (r >= 0)
                r = import1_setup(registry);
        if (r < 0)
                return r;
        r = sd_bus_request_name(registry->bus, REGISTRY_NAME, 0);
        if (r < 0)
                return log_error_errno(r, "Failed to take the name " REGISTRY_NAME);
        registry_touch(registry);
        return 0;
}

int systemd_call(sd_bus *bus, sd_bus_message **ret, const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(bus, &request, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           method);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(request, types, ap);
        va_end(ap);
        if (r >= 0)
                *ret = TAKE_PTR(request);
        return r;
}

/* A question to systemd for which somebody waits. */
typedef struct Forward {
        Registry *registry;
        sd_bus_message *call;
        sd_bus_message_handler_t done;
        void *userdata;
} Forward;

static void forward_free(Forward *f)
{
        f->registry->n_pending--;
        sd_bus_message_unref(f->call);
        free(f);
}
DEFINE_CLEANUP(Forward *, forward_free);

static int on_forwarded(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(forward_free_cleanup) Forward *f = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int r;

        registry_touch(f->registry);
        /* With userdata of its own, the handler sees errors as well: it has something to undo. */
        if (e && !f->userdata)
                return sd_bus_reply_method_error(f->call, e);
        r = f->done(reply, f->userdata ?: f->call, ret_error);
        return r < 0 ? sd_bus_reply_method_errno(f->call, r, NULL) : 0;
}

int registry_forward(Registry *registry, sd_bus_message *request, sd_bus_message *call,
                     sd_bus_message_handler_t done, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owned = request;
        _cleanup_(forward_free_cleanup) Forward *f = NULL;
        int r;

        f = malloc(sizeof(Forward));
        OOM_CHECK(f);
        *f = (Forward){ registry, sd_bus_message_ref(call), done, userdata };
        registry->n_pending++;
        r = sd_bus_call_async(registry->bus, NULL, owned, on_forwarded, f, 0);
        if (r < 0)
                return r;
        TAKE_PTR(f);
        return 1;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our machines as those of systemd-machined. */

#include <systemd/sd-login.h>
#include <unistd.h>

#include "basic/log.h"
#include "registry/machine1.h"

/* A machine that was unregistered is known until systemd-machined has nothing else to do. */
#define TRIES_MAX 16U

/* A question about one of our machines, which may be gone when the answer is there. */
typedef struct Query {
        Registry *registry;
        char *name;
        unsigned tries; /* that there were before */
} Query;

static void query_free(Query *q)
{
        free(q->name);
        free(q);
}
DEFINE_CLEANUP(Query *, query_free);

static Machine *find(const Query *q)
{
        Machine *m = registry_find(q->registry, q->name);

        return m && !m->foreign && m->published ? m : NULL;
}

/* Has the answer of a call handed to one who frees the question. */
static int ask(Registry *registry, sd_bus_message *call, const char *name, unsigned tries,
               sd_bus_message_handler_t answered)
{
        _cleanup_(query_free_cleanup) Query *q = calloc(1, sizeof(Query));
        int r;

        OOM_CHECK(q);
        *q = (Query){ registry, strdup(name), tries };
        OOM_CHECK(q->name);
        r = sd_bus_call_async(registry->bus, NULL, call, answered, q, 0);
        if (r >= 0)
                TAKE_PTR(q);
        return MIN(r, 0);
}

static int ask_all(Registry *registry, const char *name, unsigned tries, sd_bus_message_handler_t answered)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *path = machine1_machine_path(name);
        int r;

        OOM_CHECK(path);
        r = sd_bus_message_new_method_call(registry->bus, &call, MACHINE1_NAME, path,
                                           "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", MACHINE1_MACHINE);
        return r < 0 ? r : ask(registry, call, name, tries, answered);
}

/* What systemd-machined knows of a machine. */
typedef struct Known {
        const char *service, *state;
        uint32_t leader, supervisor; /* 0 where older ones know none */
} Known;

static int read_known(sd_bus_message *reply, Known *ret)
{
        const char *key;
        int r = sd_bus_message_is_method_error(reply, NULL)
                        ? -ENOENT
                        : sd_bus_message_enter_container(reply, 'a', "{sv}");

        *ret = (Known){ .service = "", .state = "" };
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = sd_bus_message_read(reply, "s", &key);
                if (r >= 0)
                        r = streq(key, "Service")  ? sd_bus_message_read(reply, "v", "s", &ret->service)
                            : streq(key, "State")  ? sd_bus_message_read(reply, "v", "s", &ret->state)
                            : streq(key, "Leader") ? sd_bus_message_read(reply, "v", "u", &ret->leader)
                            : streq(key, "Supervisor")
                                    ? sd_bus_message_read(reply, "v", "u", &ret->supervisor)
                                    : sd_bus_message_skip(reply, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r;
}

/* --- registration --------------------------------------------------------------------------------------------------- */

static int register_it(Registry *registry, const Machine *m, unsigned tries);

static bool is_unknown(sd_bus_message *reply)
{
        return sd_bus_message_is_method_error(reply, "org.freedesktop.machine1.NoSuchMachine") ||
               sd_bus_message_is_method_error(reply, SD_BUS_ERROR_UNKNOWN_OBJECT);
}

/* The one that was known is gone, if it was not before. */
static int on_unregistered(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        Machine *m = find(q);

        (void) ret_error;
        return m && (!sd_bus_message_is_method_error(reply, NULL) || is_unknown(reply))
                       ? register_it(q->registry, m, q->tries)
                       : 0;
}

/* It is an earlier life of the machine that is known, or an earlier one of ours, whom no signal reaches any more; or a stranger. */
static int on_exists(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Machine *m = find(q);
        Known known;
        int r;

        (void) ret_error;
        if (m && is_unknown(reply))
                return register_it(q->registry, m, q->tries);
        if (!m || read_known(reply, &known) < 0)
                return 0;
        if (!streq(known.service, "mctl")) {
                log_warning("systemd-machined has another machine '%s'.", q->name);
                return 0;
        }
        if ((pid_t) known.leader == m->record.leader &&
            (known.supervisor == 0 || (pid_t) known.supervisor == getpid()))
                return 0;
        r = sd_bus_message_new_method_call(q->registry->bus, &call, MACHINE1_NAME, MACHINE1_PATH,
                                           MACHINE1_MANAGER, "UnregisterMachine");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", q->name);
        return r < 0 ? r : ask(q->registry, call, q->name, q->tries, on_unregistered);
}

static int on_registered(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        (void) ret_error;
        if (e && q->tries < TRIES_MAX && sd_bus_error_has_name(e, "org.freedesktop.machine1.MachineExists"))
                return ask_all(q->registry, q->name, q->tries, on_exists);
        if (e)
                log_warning("systemd-machined says: %s", e->message);
        return 0;
}

/* Service= says whose it is: what is ours is not taken for a stranger's when systemd-machined tells us of it. */
static int register_it(Registry *registry, const Machine *m, unsigned tries)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(registry->bus, &call, MACHINE1_NAME, MACHINE1_PATH,
                                           MACHINE1_MANAGER, "RegisterMachineWithNetwork");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", m->name);
        if (r >= 0)
                r = machine1_append_id(call, m->record.uuid);
        if (r >= 0)
                r = sd_bus_message_append(call, "ssusai", "mctl", "container", (uint32_t) m->record.leader,
                                          m->record.root ?: "", 0);
        return r < 0 ? r : ask(registry, call, m->name, tries + 1, on_registered);
}

int machined_register(Registry *registry, const Machine *m)
{
        return register_it(registry, m, 0);
}

/* --- ends ----------------------------------------------------------------------------------------------------------- */

/* That a machine ends by itself, or that systemd stops it or starts it anew, is told so as well: then its leader is dead, or its unit on its way out. */
static int on_active(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        Machine *m = find(q);
        const char *state;

        (void) ret_error;
        if (!m || sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "v", "s", &state) < 0 || streq(state, "deactivating") ||
            !record_alive(&m->record))
                return 0;
        return MIN(machine_power_off(q->registry, m, NULL), 0);
}

static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(query_free_cleanup) Query *q = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *path = NULL;
        Machine *m = find(q);
        Known known;
        int r;

        (void) ret_error;
        if (!m || read_known(reply, &known) < 0 || !streq(known.state, "closing") ||
            (pid_t) known.leader != m->record.leader)
                return 0;
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", m->unit, &path);
        if (r >= 0)
                r = sd_bus_message_new_method_call(q->registry->bus, &call, SYSTEMD_NAME, path,
                                                   "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", "org.freedesktop.systemd1.Unit", "ActiveState");
        return r < 0 ? r : ask(q->registry, call, q->name, 0, on_active);
}

bool machined_has_signalled(Registry *registry, pid_t sender)
{
        _cleanup_free_ char *unit = NULL;

        /* It may be gone already. */
        if (registry->machine1 != MACHINE1_CLIENT ||
            (sd_pid_get_unit(sender, &unit) >= 0 && !streq(unit, MACHINE1_MACHINED)))
                return false;
        for (size_t i = 0; i < registry->n_machines; i++) {
                const Machine *m = registry->machines[i];
                int r = m->published && !m->foreign ? ask_all(registry, m->name, 0, on_state) : 0;
                if (r < 0)
                        log_warning_errno(r, "Failed to ask systemd-machined for machine '%s'", m->name);
        }
        return true;
}

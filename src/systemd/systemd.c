/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "systemd/systemd.h"

#include <stdarg.h>

#include "basic/log.h"
#include "basic/names.h"
#include "systemd/property.h"
#include "systemd/systemd-internal.h"

#define UNITS_PATH  SYSTEMD_PATH "/unit"
#define PROPERTIES  "org.freedesktop.DBus.Properties"
#define ERROR(name) "org.freedesktop.systemd1." name

struct Systemd {
        sd_bus *bus;
        unsigned n_pending;
        void (*answered)(void *userdata);
        void *answered_userdata;
        char *types_unit; /* the service that tells the types of properties, NULL: nobody asks for them */
        char *types;      /* introspection data of a service, once they were needed */
        SystemdUnitEvent event;
        void *event_userdata;
        sd_bus_slot *event_slots[2];
};

int systemd_new(sd_bus *bus, Systemd **ret)
{
        Systemd *s = calloc(1, sizeof(Systemd));

        OOM_CHECK(s);
        s->bus = bus;
        *ret = s;
        return 0;
}

void systemd_free(Systemd *s)
{
        for (size_t i = 0; i < ELEMENTSOF(s->event_slots); i++)
                sd_bus_slot_unref(s->event_slots[i]);
        free(s->types_unit);
        free(s->types);
        free(s);
}

unsigned systemd_pending(const Systemd *s)
{
        return s->n_pending;
}

void systemd_on_answer(Systemd *s, void (*answered)(void *userdata), void *userdata)
{
        s->answered = answered;
        s->answered_userdata = userdata;
}

sd_bus *systemd_bus(const Systemd *s)
{
        return s->bus;
}

/* --- calls --------------------------------------------------------------------------------------------- */

int systemd_call(Systemd *s, sd_bus_message **ret, const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &call, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           method);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(call, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

/* A call that waits for its answer. */
typedef struct Pending {
        Systemd *systemd;
        SystemdReply reply;
        SystemdUnits units;
        void *userdata;
} Pending;

static void pending_free(Pending *p)
{
        p->systemd->n_pending--;
        free(p);
}
DEFINE_CLEANUP(Pending *, pending_free);

static Pending *pending_new(Systemd *s)
{
        Pending *p = calloc(1, sizeof(Pending));

        if (!p)
                return NULL;
        p->systemd = s;
        s->n_pending++;
        return p;
}

static void tell_answered(const Systemd *s)
{
        if (s->answered)
                s->answered(s->answered_userdata);
}

/* Returns the object path of a job or the string of a variant, "" otherwise. */
static const char *read_answer(sd_bus_message *reply)
{
        const char *signature = sd_bus_message_get_signature(reply, true), *text = "";
        int r = 0;

        if (signature && signature[0] == 'o')
                r = sd_bus_message_read(reply, "o", &text);
        else if (signature && signature[0] == 'v')
                r = sd_bus_message_read(reply, "v", "s", &text);
        return r < 0 ? "" : text;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(pending_free_cleanup) Pending *p = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        (void) ret_error;
        tell_answered(p->systemd);
        if (e)
                log_debug("systemd answers: %s", e->message);
        p->reply(p->userdata, e, e ? "" : read_answer(reply));
        return 0;
}

int systemd_send(Systemd *s, sd_bus_message *call, SystemdReply reply, void *userdata)
{
        _cleanup_(pending_free_cleanup) Pending *p = NULL;
        int r;

        if (!reply)
                return MIN(sd_bus_send(s->bus, call, NULL), 0);
        p = pending_new(s);
        OOM_CHECK(p);
        p->reply = reply;
        p->userdata = userdata;
        r = sd_bus_call_async(s->bus, NULL, call, on_reply, p, 0);
        if (r < 0)
                return r;
        TAKE_PTR(p);
        return 0;
}

static int call_unit(Systemd *s, const char *method, const char *unit, SystemdReply reply, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = systemd_call(s, &call, method, "s", unit);

        return r < 0 ? r : systemd_send(s, call, reply, userdata);
}

static int queue_job(Systemd *s, const char *method, const char *unit, SystemdReply reply, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = systemd_call(s, &call, method, "ss", unit, "replace");

        return r < 0 ? r : systemd_send(s, call, reply, userdata);
}

int systemd_start_unit(Systemd *s, const char *unit, SystemdReply reply, void *userdata)
{
        return queue_job(s, "StartUnit", unit, reply, userdata);
}

int systemd_stop_unit(Systemd *s, const char *unit, SystemdReply reply, void *userdata)
{
        return queue_job(s, "StopUnit", unit, reply, userdata);
}

int systemd_thaw_unit(Systemd *s, const char *unit, SystemdReply reply, void *userdata)
{
        return call_unit(s, "ThawUnit", unit, reply, userdata);
}

int systemd_freeze_unit(Systemd *s, const char *unit, SystemdReply reply, void *userdata)
{
        return call_unit(s, "FreezeUnit", unit, reply, userdata);
}

int systemd_kill_unit(Systemd *s, const char *unit, const char *whom, int sig, SystemdReply reply,
                      void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = systemd_call(s, &call, "KillUnit", "ssi", unit, whom, sig);

        return r < 0 ? r : systemd_send(s, call, reply, userdata);
}

static void ignore(void *userdata, const sd_bus_error *error, const char *job)
{
        (void) userdata;
        (void) error;
        (void) job;
}

void systemd_reset_failed(Systemd *s, const char *unit)
{
        (void) call_unit(s, "ResetFailedUnit", unit, ignore, NULL);
}

int systemd_find_unit(Systemd *s, const char *unit, SystemdReply reply, void *userdata)
{
        return call_unit(s, "GetUnit", unit, reply, userdata);
}

int systemd_ask_state(Systemd *s, const char *unit, SystemdReply reply, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNITS_PATH, unit, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(s->bus, &call, SYSTEMD_NAME, path, PROPERTIES, "Get");
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "ss", ERROR("Unit"), "ActiveState");
        return r < 0 ? r : systemd_send(s, call, reply, userdata);
}

bool systemd_error_exists(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, ERROR("UnitExists"));
}

bool systemd_error_no_unit(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, ERROR("NoSuchUnit"));
}

bool systemd_error_unknown(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED);
}

bool systemd_error_bad_property(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, SD_BUS_ERROR_INVALID_ARGS) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_PROPERTY_READ_ONLY);
}

/* --- units --------------------------------------------------------------------------------------------- */

static int read_units(sd_bus_message *reply, UnitState **ret, size_t *ret_n)
{
        _cleanup_free_ UnitState *units = NULL;
        const char *name, *active, *job;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &active, NULL, NULL, NULL,
                                        NULL, &job, NULL)) > 0) {
                UnitState *p = reallocarray(units, n + 1, sizeof(UnitState));
                OOM_CHECK(p);
                units = p;
                /* The unit is about to start: its job is queued. */
                units[n++] = (UnitState){ name, streq(active, "inactive") && streq(job, "start")
                                                        ? "activating"
                                                        : active };
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(units);
        *ret_n = n;
        return 0;
}

static int on_units(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(pending_free_cleanup) Pending *p = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        _cleanup_free_ UnitState *units = NULL;
        size_t n = 0;
        int r;

        (void) ret_error;
        r = e ? -sd_bus_error_get_errno(e) : read_units(reply, &units, &n);
        p->units(p->userdata, r, units, n);
        return 0;
}

int systemd_list_units(Systemd *s, const char *const *patterns, SystemdUnits told, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(pending_free_cleanup) Pending *p = pending_new(s);
        int r;

        OOM_CHECK(p);
        p->units = told;
        p->userdata = userdata;
        r = systemd_call(s, &call, "ListUnitsByPatterns", "as", 0);
        if (r < 0)
                return r;
        r = sd_bus_message_append_strv(call, (char **) patterns);
        if (r < 0)
                return r;
        r = sd_bus_call_async(s->bus, NULL, call, on_units, p, 0);
        if (r < 0)
                return r;
        TAKE_PTR(p);
        return 0;
}

static int on_unit_event(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        const Systemd *s = userdata;
        const char *unit;

        (void) ret_error;
        if (sd_bus_message_read(signal, "s", &unit) >= 0)
                s->event(s->event_userdata, unit, sd_bus_message_is_signal(signal, NULL, "UnitRemoved") > 0);
        return 0;
}

int systemd_watch(Systemd *s, SystemdUnitEvent event, void *userdata)
{
        static const char *const signals[ELEMENTSOF(s->event_slots)] = { "UnitNew", "UnitRemoved" };
        int r;

        s->event = event;
        s->event_userdata = userdata;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_bus_match_signal_async(s->bus, s->event_slots + i, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_MANAGER, signals[i], on_unit_event, NULL, s);
                if (r < 0)
                        return r;
        }
        return sd_bus_call_method_async(s->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                        "Subscribe", NULL, NULL, "");
}

/* A caller of systemd_watch_unit(). The slot owns it. */
typedef struct Watch {
        char *unit;
        SystemdChange changed;
        void *userdata;
} Watch;

static void watch_free(void *userdata)
{
        Watch *w = userdata;

        free(w->unit);
        free(w);
}
DEFINE_CLEANUP(Watch *, watch_free);

/* Returns the state of the freezer. *ret does not change if the signal has none. */
static int read_freezer(sd_bus_message *signal, const char **ret)
{
        const char *key;
        int r;

        r = sd_bus_message_skip(signal, "s");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(signal, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(signal, 'e', "sv")) > 0) {
                r = sd_bus_message_read(signal, "s", &key);
                if (r < 0)
                        return r;
                if (streq(key, "FreezerState"))
                        return sd_bus_message_read(signal, "v", "s", ret);
                r = sd_bus_message_skip(signal, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(signal);
                if (r < 0)
                        return r;
        }
        return r;
}

static int on_changed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        const Watch *w = userdata;
        const char *freezer = NULL;

        (void) ret_error;
        (void) read_freezer(signal, &freezer);
        w->changed(w->userdata, w->unit, freezer);
        return 0;
}

int systemd_watch_unit(Systemd *s, const char *unit, SystemdChange changed, void *userdata,
                       sd_bus_slot **ret)
{
        _cleanup_(watch_free_cleanup) Watch *w = calloc(1, sizeof(Watch));
        _cleanup_free_ char *path = NULL;
        sd_bus_slot *slot;
        int r;

        OOM_CHECK(w);
        *w = (Watch){ strdup(unit), changed, userdata };
        OOM_CHECK(w->unit);
        r = sd_bus_path_encode(UNITS_PATH, unit, &path);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(s->bus, &slot, SYSTEMD_NAME, path, PROPERTIES, "PropertiesChanged",
                                      on_changed, NULL, w);
        if (r < 0)
                return r;
        (void) sd_bus_slot_set_destroy_callback(slot, watch_free);
        TAKE_PTR(w);
        *ret = slot;
        return 0;
}

/* --- answers that are waited for ----------------------------------------------------------------------- */

int systemd_unit_file_state(Systemd *s, const char *unit, char **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *state;
        int r;

        r = sd_bus_call_method(s->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "GetUnitFileState",
                               &error, &reply, "s", unit);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &state);
        if (r < 0)
                return r;
        *ret = strdup(state);
        return *ret ? 0 : -ENOMEM;
}

int systemd_set_types_unit(Systemd *s, const char *unit)
{
        return free_and_strdup(&s->types_unit, unit);
}

int systemd_property_types(Systemd *s, const char **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *path = NULL;
        const char *text = "";
        int r = 0;

        if (!s->types && s->types_unit) {
                r = sd_bus_path_encode(UNITS_PATH, s->types_unit, &path);
                if (r >= 0)
                        r = sd_bus_call_method(s->bus, SYSTEMD_NAME, path,
                                               "org.freedesktop.DBus.Introspectable", "Introspect", NULL,
                                               &reply, "");
                if (r >= 0)
                        r = sd_bus_message_read(reply, "s", &text);
                if (r >= 0)
                        r = free_and_strdup(&s->types, text);
        }
        *ret = s->types ?: "";
        return r < 0 ? r : 0;
}

int systemd_check_assignment(Systemd *s, const char *assignment, bool file, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *scratch = NULL;
        _cleanup_free_ char *key = strndup(assignment, strcspn(assignment, "="));
        const char *types;
        int r;

        OOM_CHECK(key);
        r = systemd_property_types(s, &types);
        if (r < 0)
                return r;
        if (file && property_is_of_unit(types, key))
                return set_invalid(ret_error, "%s= belongs in section [Unit] of a machine file.", key);
        r = sd_bus_message_new_signal(s->bus, &scratch, SYSTEMD_PATH, SYSTEMD_MANAGER, "Scratch");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(scratch, 'a', "(sv)");
        return r < 0 ? r : property_append_assignment(scratch, types, assignment, ret_error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "systemd/unit-request.h"

#include <stdarg.h>

#include "basic/names.h"
#include "systemd/property.h"
#include "systemd/systemd-internal.h"

struct UnitRequest {
        Systemd *systemd;
        sd_bus_message *call;
        bool starts; /* StartTransientUnit(), otherwise SetUnitProperties() */
        int r;       /* result of the first step that failed */
        char *error;
};

struct ExtraProperties {
        sd_bus_message *message; /* its body is the array a(sv) */
};

static UnitRequest *request_new(Systemd *s, bool starts)
{
        UnitRequest *q = calloc(1, sizeof(UnitRequest));

        if (q)
                *q = (UnitRequest){ .systemd = s, .starts = starts };
        return q;
}

/* Keeps the first failure. Returns whether there is none. */
static bool note(UnitRequest *q, int r)
{
        if (q->r >= 0 && r < 0)
                q->r = r;
        return q->r >= 0;
}

UnitRequest *unit_request_start(Systemd *s, const char *unit)
{
        UnitRequest *q = request_new(s, true);

        if (q && note(q, systemd_call(s, &q->call, "StartTransientUnit", "ss", unit, "fail")))
                note(q, sd_bus_message_open_container(q->call, 'a', "(sv)"));
        return q;
}

UnitRequest *unit_request_set(Systemd *s, const char *unit, bool runtime)
{
        UnitRequest *q = request_new(s, false);

        if (q && note(q, systemd_call(s, &q->call, "SetUnitProperties", "sb", unit, runtime)))
                note(q, sd_bus_message_open_container(q->call, 'a', "(sv)"));
        return q;
}

void unit_request_free(UnitRequest *q)
{
        sd_bus_message_unref(q->call);
        free(q->error);
        free(q);
}

const char *unit_request_error(const UnitRequest *q)
{
        return q->error;
}

void unit_request_add(UnitRequest *q, const char *name, const char *types, ...)
{
        va_list ap;

        if (q->r < 0 || !note(q, property_open(q->call, name, types)))
                return;
        va_start(ap, types);
        note(q, sd_bus_message_appendv(q->call, types, ap));
        va_end(ap);
        if (q->r >= 0)
                note(q, property_close(q->call, 2));
}

void unit_request_add_strings(UnitRequest *q, const char *name, const Strv list)
{
        if (q->r >= 0 && note(q, property_open(q->call, name, "as")) &&
            note(q, sd_bus_message_append_strv(q->call, list)))
                note(q, property_close(q->call, 2));
}

void unit_request_add_field(UnitRequest *q, const char *name, const char *value)
{
        if (q->r >= 0)
                note(q, property_append_field(q->call, name, value));
}

void unit_request_add_command(UnitRequest *q, const char *name, const char *path, const Strv argv,
                              bool ignore)
{
        if (q->r >= 0 && note(q, property_open(q->call, name, "a(sasb)")) &&
            note(q, sd_bus_message_open_container(q->call, 'a', "(sasb)")) &&
            note(q, sd_bus_message_open_container(q->call, 'r', "sasb")) &&
            note(q, sd_bus_message_append(q->call, "s", path)) &&
            note(q, sd_bus_message_append_strv(q->call, argv)) &&
            note(q, sd_bus_message_append(q->call, "b", ignore)))
                note(q, property_close(q->call, 4));
}

void unit_request_add_verbatim(UnitRequest *q, const char *name, const Strv command)
{
        _cleanup_free_ char *extended = strf("%sEx", name);

        if (q->r >= 0 && note(q, extended ? 0 : -ENOMEM) &&
            note(q, property_open(q->call, extended, "a(sasas)")) &&
            note(q, sd_bus_message_open_container(q->call, 'a', "(sasas)")) &&
            note(q, sd_bus_message_open_container(q->call, 'r', "sasas")) &&
            note(q, sd_bus_message_append(q->call, "s", command[0])) &&
            note(q, sd_bus_message_append_strv(q->call, command)) &&
            note(q, sd_bus_message_append(q->call, "as", 1, "no-env-expand")))
                note(q, property_close(q->call, 4));
}

void unit_request_add_stdio(UnitRequest *q, const int fds[3])
{
        static const char *const names[] = { "StandardInputFileDescriptor", "StandardOutputFileDescriptor",
                                             "StandardErrorFileDescriptor" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (fds[i] >= 0)
                        unit_request_add(q, names[i], "h", fds[i]);
}

void unit_request_add_all_successes(UnitRequest *q)
{
        int32_t statuses[255], signals[64];

        for (int i = 0; i < (int) ELEMENTSOF(statuses); i++)
                statuses[i] = i + 1;
        for (int i = 0; i < (int) ELEMENTSOF(signals); i++)
                signals[i] = i + 1;
        if (q->r >= 0 && note(q, property_open(q->call, "SuccessExitStatus", "(aiai)")) &&
            note(q, sd_bus_message_open_container(q->call, 'r', "aiai")) &&
            note(q, sd_bus_message_append_array(q->call, 'i', statuses, sizeof(statuses))) &&
            note(q, sd_bus_message_append_array(q->call, 'i', signals, sizeof(signals))))
                note(q, property_close(q->call, 3));
}

void unit_request_add_assignments(UnitRequest *q, const Strv assignments)
{
        const char *types;

        STRV_FOREACH (s, assignments) {
                if (q->r < 0 || !note(q, systemd_property_types(q->systemd, &types)))
                        return;
                int r = property_append_assignment(q->call, types, *s, &q->error);
                note(q, r == -EOPNOTSUPP ? -EINVAL : r);
        }
}

/* --- properties of a caller ---------------------------------------------------------------------------- */

int extra_properties_new(sd_bus_message *message, ExtraProperties **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        int r;

        r = sd_bus_message_new_signal(sd_bus_message_get_bus(message), &copy, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                      "Extra");
        if (r < 0)
                return r;
        r = sd_bus_message_copy(copy, message, false);
        if (r < 0)
                return r;
        /* Only sealed messages can be read. */
        r = sd_bus_message_seal(copy, 1, 0);
        if (r < 0)
                return r;
        ExtraProperties *extra = malloc(sizeof(ExtraProperties));
        OOM_CHECK(extra);
        extra->message = TAKE_PTR(copy);
        *ret = extra;
        return 0;
}

void extra_properties_free(ExtraProperties *extra)
{
        if (!extra)
                return;
        sd_bus_message_unref(extra->message);
        free(extra);
}

void unit_request_add_extra(UnitRequest *q, const ExtraProperties *extra)
{
        if (q->r >= 0 && extra && note(q, sd_bus_message_rewind(extra->message, true)) &&
            note(q, sd_bus_message_enter_container(extra->message, 'a', "(sv)")))
                note(q, sd_bus_message_copy(q->call, extra->message, true));
}

/* --- the end ------------------------------------------------------------------------------------------- */

static int finish(UnitRequest *q)
{
        if (q->r >= 0 && note(q, sd_bus_message_close_container(q->call)) && q->starts)
                note(q, sd_bus_message_append(q->call, "a(sa(sv))", 0));
        return q->r;
}

int unit_request_send(UnitRequest *q, SystemdReply reply, void *userdata)
{
        int r = finish(q);

        return r < 0 ? r : systemd_send(q->systemd, q->call, reply, userdata);
}

/* A job whose end a caller waits for. */
typedef struct Running {
        SystemdReply reply;
        void *userdata;
        char *job;
        sd_bus_slot *slot;
} Running;

static void running_free(Running *w)
{
        sd_bus_slot_unref(w->slot);
        free(w->job);
        free(w);
}
DEFINE_CLEANUP(Running *, running_free);

static int on_job_removed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        Running *running = userdata;
        const char *job, *result;

        (void) ret_error;
        if (sd_bus_message_read(signal, "uoss", NULL, &job, NULL, &result) < 0 ||
            !streq_ptr(running->job, job))
                return 0;
        _cleanup_(running_free_cleanup) Running *w = running;
        w->reply(w->userdata, NULL, result);
        return 0;
}

static void on_begun(void *userdata, const sd_bus_error *error, const char *job)
{
        _cleanup_(running_free_cleanup) Running *w = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error oom = SD_BUS_ERROR_NULL;

        if (!error && free_and_strdup(&w->job, job) < 0) {
                (void) sd_bus_error_set_errno(&oom, -ENOMEM);
                error = &oom;
        }
        if (error)
                w->reply(w->userdata, error, "");
        else
                TAKE_PTR(w); /* on_job_removed() frees it */
}

/* systemd sends signals and answers in order: the match is added before the call, so that no end of a job is
 * missed. */
int unit_request_run(UnitRequest *q, SystemdReply reply, void *userdata)
{
        _cleanup_(running_free_cleanup) Running *w = calloc(1, sizeof(Running));
        int r;

        OOM_CHECK(w);
        w->reply = reply;
        w->userdata = userdata;
        r = sd_bus_match_signal_async(systemd_bus(q->systemd), &w->slot, SYSTEMD_NAME, SYSTEMD_PATH,
                                      SYSTEMD_MANAGER, "JobRemoved", on_job_removed, NULL, w);
        if (r < 0)
                return r;
        r = unit_request_send(q, on_begun, w);
        if (r < 0)
                return r;
        TAKE_PTR(w);
        return 0;
}

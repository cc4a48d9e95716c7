/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "update/update.h"

#include <string.h>
#include <unistd.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/names.h"
#include "basic/time.h"
#include "client/client.h"
#include "client/objects.h"
#include "state/spec-load.h"
#include "systemd/bus.h"
#include "update/machine.h"
#include "update/record.h"

#define LABEL_TRIAL  "update-trial"
#define LABEL_BEFORE "before-update"
#define LABEL_FAILED "failed-update"

#define WORKER_WAIT_USEC (10 * 60 * USEC_PER_SEC)
#define WORKER_STEP_USEC (100 * USEC_PER_MSEC)

/* An update, or the undoing of an update. */
typedef struct Update {
        const Scope *scope;
        sd_bus *bus;
        UpdateRecord record;
        int lock_fd;
} Update;

#define UPDATE_NONE ((Update){ .lock_fd = -EBADF })

static void update_clear(Update *u)
{
        u->lock_fd = update_unlock(u->scope, u->record.image, u->lock_fd);
        update_record_clear(&u->record);
        sd_bus_flush_close_unref(u->bus);
}
#define _cleanup_update_ _cleanup_(update_clear)

static int connect(Update *u, const Scope *scope, char **ret_error)
{
        u->scope = scope;
        int r = bus_open(scope->bus, &u->bus);
        return r < 0 ? set_failure_errno(ret_error, r, "Failed to connect to the bus") : 0;
}

/* --- what is updated ----------------------------------------------------------------------------------- */

static int read_spec(const Update *u, const char *name, char **ret, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r = client_call(u->bus, CLIENT_QUESTION, &client_registry, "GetMachineSpec", &reply, ret_error,
                            "s", name);

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        return r < 0 ? r : free_and_strdup(ret, text);
}

/* Reads which image a machine with a machine file is started from. */
static int image_of_file(const Scope *scope, const char *name, char **ret, char **ret_error)
{
        _cleanup_strv_ Strv warnings = NULL;
        _cleanup_spec_ Spec *spec = NULL;
        int r = spec_merge(scope, name, NULL, &spec, &warnings, ret_error);

        return r < 0 ? r : free_and_strdup(ret, spec->image ?: name);
}

/* Finds the image that the machine runs from, or would run from. A machine without a machine file has the
 * image of the same name. */
static int find_machine(Update *u, const char *name, char **ret_error)
{
        _cleanup_free_ char *file = NULL;
        UpdateRecord *record = &u->record;
        json_t *machine;
        int r = client_find_machine(u->bus, name, &machine, ret_error);

        if (r < 0)
                return r;
        record->runs = machine && !streq_ptr(json_text(machine, "State"), "failed");
        if (record->runs)
                r = free_and_strdup(&record->image, json_text(machine, "Image"));
        else if (spec_find_file(u->scope, name, &file) >= 0)
                r = image_of_file(u->scope, name, &record->image, ret_error);
        else
                r = free_and_strdup(&record->image, name);
        if (r >= 0)
                r = free_and_strdup(&record->name, name);
        if (r >= 0)
                r = free_and_strdup(&record->spec, "");
        if (r >= 0 && record->runs && startswith(strna(json_text(machine, "Unit")), "machine-"))
                r = read_spec(u, name, &record->spec, ret_error);
        json_decref(machine);
        if (r < 0)
                return r;
        if (!isempty(record->image) && machine_name_valid(record->image))
                return 0;
        _cleanup_free_ char *shown = str_escape(strna(record->image));
        if (isempty(record->image) || strchr(record->image, '/'))
                return set_failure(ret_error, -EOPNOTSUPP,
                                   "Machine '%s' does not run from an image in the store.", name);
        return set_failure(ret_error, -EOPNOTSUPP,
                           "Only an image with the name of a machine can be updated, not '%s'.",
                           strna(shown));
}

/* --- images -------------------------------------------------------------------------------------------- */

/* Whether the image has a snapshot of that name: 1 or 0. */
static int has_snapshot(const Update *u, const char *label, char **ret_error)
{
        json_t *snapshots, *snapshot;
        bool found = false;
        size_t i;
        int r = client_list_snapshots(u->bus, u->record.image, &snapshots, ret_error);

        if (r < 0)
                return r;
        json_array_foreach (snapshots, i, snapshot)
                found = found || streq_ptr(json_text(snapshot, "name"), label);
        json_decref(snapshots);
        return found;
}

static int change_image(const Update *u, const char *method, const char *what, const char *keep,
                        char **ret_error)
{
        return client_call(u->bus, CLIENT_CHANGE, &client_registry, method, NULL, ret_error, "sss",
                           u->record.image, what, keep);
}

/* Whether a worker that replaces the image is running: 1 or 0. */
static int is_being_replaced(const Update *u, char **ret_error)
{
        _cleanup_free_ char *wanted = work_describe(WORK_REPLACE, u->record.image);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *description;
        bool found = false;
        int r = client_call(u->bus, CLIENT_QUESTION, &client_systemd, "ListUnitsByPatterns", &reply,
                            ret_error, "asas", 2, "active", "activating", 1, "mctl-work-*");

        OOM_CHECK(wanted);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", NULL, &description, NULL, NULL,
                                                  NULL, NULL, NULL, NULL, NULL, NULL)) > 0)
                found = found || streq(description, wanted);
        return r < 0 ? r : found;
}

/* An update that was killed may have left a worker, which is about to replace the image. */
static int wait_for_worker(const Update *u, char **ret_error)
{
        uint64_t until = now_usec(CLOCK_MONOTONIC) + WORKER_WAIT_USEC;
        int r;

        while ((r = is_being_replaced(u, ret_error)) > 0) {
                if (now_usec(CLOCK_MONOTONIC) >= until)
                        return set_failure(ret_error, -EBUSY, "Image '%s' is still being replaced.",
                                           u->record.image);
                (void) usleep(WORKER_STEP_USEC);
        }
        return r;
}

/* --- undoing ------------------------------------------------------------------------------------------- */

/* Without snapshot "update-trial", the image was not replaced or the update had succeeded: only the record
 * is removed. Returns as update_undo(). */
static int undo(Update *u, char **ret_error)
{
        const UpdateRecord *record = &u->record;
        int r = wait_for_worker(u, ret_error);

        if (r >= 0)
                r = has_snapshot(u, LABEL_TRIAL, ret_error);
        if (r == 0)
                return update_record_remove(u->scope, record->image, ret_error);
        if (r > 0)
                r = update_machine_make_off(u->bus, record->name, ret_error);
        if (r >= 0)
                r = change_image(u, "RevertImage", LABEL_TRIAL, LABEL_FAILED, ret_error);
        if (r >= 0)
                r = update_record_remove(u->scope, record->image, ret_error);
        if (r >= 0 && record->runs)
                r = update_machine_start(u->scope, u->bus, record, UINT64_MAX, ret_error);
        if (r < 0)
                return r;
        return set_failure(ret_error, 1,
                           "The update of image '%s' is undone. Snapshot '" LABEL_FAILED
                           "' keeps the version that failed.",
                           record->image);
}

/* The lock of the image keeps other processes from undoing the same update, or from beginning a new one. */
int update_undo(const Scope *scope, const char *image, bool booting, char **ret_error)
{
        _cleanup_update_ Update u = UPDATE_NONE;
        int r = connect(&u, scope, ret_error);

        if (r < 0)
                return r;
        _cleanup_close_ int lock_fd = update_lock(scope, image, ret_error);
        if (lock_fd < 0)
                return lock_fd;
        r = update_record_read(scope, image, &u.record, ret_error);
        if (r < 0) {
                (void) update_unlock(scope, image, TAKE_FD(lock_fd));
                return r == -ENOENT ? 0 : r;
        }
        u.lock_fd = TAKE_FD(lock_fd);
        u.record.runs = u.record.runs && !booting;
        return undo(&u, ret_error);
}

int update_find_interrupted(const Scope *scope, const char *machine, char **ret_image, char **ret_error)
{
        _cleanup_strv_ Strv images = NULL;
        int r = update_record_list(scope, &images, ret_error);

        *ret_image = NULL;
        if (r < 0)
                return r;
        STRV_FOREACH (image, images) {
                _cleanup_update_record_ UpdateRecord record = {};
                _cleanup_free_ char *error = NULL;
                if (update_record_read(scope, *image, &record, &error) < 0 || !streq(record.name, machine))
                        continue;
                *ret_image = TAKE_PTR(record.image);
                return 0;
        }
        return 0;
}

/* --- an update ----------------------------------------------------------------------------------------- */

static int check_settled(const Update *u, char **ret_error)
{
        int r = has_snapshot(u, LABEL_TRIAL, ret_error);

        return r <= 0 ? r
                      : set_failure(ret_error, -EEXIST,
                                    "An interrupted update of image '%s' must be undone first: "
                                    "run 'mctl update-undo %s'.",
                                    u->record.image, u->record.image);
}

/* Runs the update from the written record to the final name of the snapshot. */
static int try_image(Update *u, const UpdateRequest *request, char **ret_error)
{
        const UpdateRecord *record = &u->record;
        int r = change_image(u, "ReplaceImage", request->image, LABEL_TRIAL, ret_error);

        if (r >= 0 && record->runs)
                r = update_machine_power_off(u->bus, record->name, ret_error);
        if (r < 0)
                return r;
        uint64_t until = now_usec(CLOCK_MONOTONIC) + request->timeout;
        r = update_machine_start(u->scope, u->bus, record, until, ret_error);
        if (r >= 0 && !isempty(request->health))
                r = update_machine_wait_health(record->name, request->health, until, ret_error);
        return r < 0 ? r : change_image(u, "RenameSnapshot", LABEL_TRIAL, LABEL_BEFORE, ret_error);
}

/* Undoes the update, and returns the error of the update itself. */
static int undo_failed(Update *u, int error, char **ret_error)
{
        _cleanup_free_ char *why = *ret_error ?: strdup(strerror(-error)), *text = NULL;
        int r = undo(u, &text);

        *ret_error = NULL;
        return set_failure(ret_error, error, "%s%s%s", strna(why), text || r < 0 ? " " : "",
                           text     ? text
                           : r == 0 ? ""
                                    : strerror(-r));
}

int update_run(const Scope *scope, const UpdateRequest *request, UpdateAnswer *answer, char **ret_error)
{
        _cleanup_update_ Update u = UPDATE_NONE;
        _cleanup_free_ char *ignored = NULL;
        int r = connect(&u, scope, ret_error);

        if (r >= 0)
                r = find_machine(&u, request->name, ret_error);
        if (r < 0)
                return r;
        u.lock_fd = update_lock(scope, u.record.image, ret_error);
        r = u.lock_fd < 0 ? u.lock_fd : check_settled(&u, ret_error);
        if (r >= 0)
                r = update_record_write(scope, &u.record, ret_error);
        if (r < 0)
                return r;
        r = try_image(&u, request, ret_error);
        if (r < 0)
                return undo_failed(&u, r, ret_error);
        /* The update has succeeded: errors are ignored from here on. */
        (void) update_record_remove(scope, u.record.image, &ignored);
        if (!u.record.runs)
                (void) update_machine_power_off(u.bus, u.record.name, &ignored);
        *answer = (UpdateAnswer){ strdup(u.record.image), strdup(LABEL_BEFORE), u.record.runs };
        return answer->image && answer->snapshot ? 0 : -ENOMEM;
}

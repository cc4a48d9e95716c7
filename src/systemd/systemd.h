/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "basic/str.h"

/* A client of the service manager (org.freedesktop.systemd1(5)). Unless a comment says otherwise, a call
 * returns at once, and the answer is passed to a callback. Files outside of this room see no messages. */

typedef struct Systemd Systemd;

/* Makes a client. The caller keeps the bus, which must outlive the client. */
int systemd_new(sd_bus *bus, Systemd **ret);
void systemd_free(Systemd *systemd);
DEFINE_CLEANUP(Systemd *, systemd_free);

/* The number of answers that are expected. */
unsigned systemd_pending(const Systemd *systemd);

/* Sets a function that is called before each SystemdReply, or NULL for none. */
void systemd_on_answer(Systemd *systemd, void (*answered)(void *userdata), void *userdata);

/* Gets the answer: an error, or NULL and the object path of the job, "" if there is no job. Both are valid
 * only during the call. */
typedef void (*SystemdReply)(void *userdata, const sd_bus_error *error, const char *job);

/* `reply` may be NULL. If a function returns an error, no call was sent, and reply() is not called. */
int systemd_start_unit(Systemd *systemd, const char *unit, SystemdReply reply, void *userdata);
int systemd_stop_unit(Systemd *systemd, const char *unit, SystemdReply reply, void *userdata);
int systemd_thaw_unit(Systemd *systemd, const char *unit, SystemdReply reply, void *userdata);
int systemd_freeze_unit(Systemd *systemd, const char *unit, SystemdReply reply, void *userdata);
/* Sends a signal to the "main" process of a unit, or to "all". */
int systemd_kill_unit(Systemd *systemd, const char *unit, const char *whom, int sig, SystemdReply reply,
                      void *userdata);
/* Resets the failed state of a unit. */
void systemd_reset_failed(Systemd *systemd, const char *unit);
/* Looks for a unit. If there is none, reply() gets the error of systemd_error_no_unit(). */
int systemd_find_unit(Systemd *systemd, const char *unit, SystemdReply reply, void *userdata);
/* Reads ActiveState of a unit. reply() gets it as `job`. */
int systemd_ask_state(Systemd *systemd, const char *unit, SystemdReply reply, void *userdata);

/* The meaning of an error of StartTransientUnit():
 *
 * - systemd_error_exists(): a unit of that name exists
 * - systemd_error_no_unit(): there is no such unit
 * - systemd_error_unknown(): the answer is missing, so the unit may start nevertheless
 * - systemd_error_bad_property(): a property is unknown, or has a bad value */
bool systemd_error_exists(const sd_bus_error *error);
bool systemd_error_no_unit(const sd_bus_error *error);
bool systemd_error_unknown(const sd_bus_error *error);
bool systemd_error_bad_property(const sd_bus_error *error);

typedef struct UnitState {
        const char *name, *active; /* ActiveState; "activating" also if a job to start the unit is queued */
} UnitState;

/* Lists units by shell patterns. `units` is valid only during the callback. */
typedef void (*SystemdUnits)(void *userdata, int error, const UnitState *units, size_t n);
int systemd_list_units(Systemd *systemd, const char *const *patterns, SystemdUnits told, void *userdata);

/* Calls event() for each unit that systemd loads or unloads, from now on. */
typedef void (*SystemdUnitEvent)(void *userdata, const char *unit, bool removed);
int systemd_watch(Systemd *systemd, SystemdUnitEvent event, void *userdata);

/* Calls changed() for each change of a unit, until the caller passes the slot to sd_bus_slot_unref().
 * `freezer` is the state of the unit's freezer, or NULL if that has not changed. systemd before 256 does not
 * report changes of the freezer. */
typedef void (*SystemdChange)(void *userdata, const char *unit, const char *freezer);
int systemd_watch_unit(Systemd *systemd, const char *unit, SystemdChange changed, void *userdata,
                       sd_bus_slot **ret);

/* Waits for the state of a unit file ("enabled", "masked", …), which the caller frees. -ENOENT if there is
 * no such file. */
int systemd_unit_file_state(Systemd *systemd, const char *unit, char **ret);

/* Names a service that exists: its introspection data describe the properties of services. The first
 * assignment that is converted waits for them. Without such a service, no assignment can be converted. */
int systemd_set_types_unit(Systemd *systemd, const char *unit);

/* Checks one assignment without sending a call. With `file`, the assignment is from section [Resources] of a
 * machine file. -EINVAL with a text if the property is unknown, the value is bad or the section is wrong,
 * -EOPNOTSUPP if only a unit file can set the property. */
int systemd_check_assignment(Systemd *systemd, const char *assignment, bool file, char **ret_error);

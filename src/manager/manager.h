/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "manager/operation.h"
#include "state/scope.h"
#include "systemd/systemd.h"

/* The manager of machines: a cache over systemd and what lies in the runtime directory. Whatever changes
 * there leads to one thing, a refresh: the units of machines are listed and compared with what is known, and
 * observers are told the difference. So nothing can be missed or counted twice, and a manager that was
 * killed is whole after its first refresh. */

/* What the host is called where machines are. */
#define HOST_NAME ".host"

/* Our part on org.freedesktop.machine1. */
typedef enum Provider {
        PROVIDER_NONE,   /* nobody offers machines there, or somebody else does */
        PROVIDER_OURS,   /* we do */
        PROVIDER_OTHERS, /* systemd-machined does: machines of ours are registered there */
} Provider;

typedef struct Transfer Transfer;
typedef struct Start Start;

/* Who hears of what happens, in the order in which they have asked for it. Any of the functions may be NULL.
 */
typedef struct Observer {
        /* A machine is there, or not any more: a failed one is a memory. */
        void (*machine_changed)(void *userdata, Machine *machine, bool there);
        /* The same for a machine that has a leader, as clients of systemd know machines. */
        void (*machine_published)(void *userdata, Machine *machine, bool there);
        void (*machine_paused)(void *userdata, Machine *machine);
        void (*unit_removed)(void *userdata);
        void (*refreshed)(void *userdata);
        void (*transfer_begun)(void *userdata, const Transfer *transfer);
        void (*transfer_progress)(void *userdata, const Transfer *transfer, uint64_t bytes);
        /* "done", "canceled" or "failed"; the message may be NULL. */
        void (*transfer_ended)(void *userdata, const Transfer *transfer, const char *result,
                               const char *message);
        void (*idle)(void *userdata); /* nothing keeps us */
        void *userdata;
        struct Observer *next;
} Observer;

/* Tells all observers: OBSERVERS_TELL(manager, machine_paused, machine). */
#define OBSERVERS_TELL(manager, event, ...)                                                        \
        for (Observer *_o = (manager)->observers, *_next; _o && (_next = _o->next, 1); _o = _next) \
                if (_o->event)                                                                     \
        _o->event(_o->userdata, ##__VA_ARGS__)

struct Manager {
        const Scope *scope;
        sd_event *event;
        sd_bus *bus; /* on which the service manager is */
        Systemd *systemd;
        int run_fd;
        Machine **machines;
        size_t n_machines;
        Machine *host; /* what is asked of it is done on the host; it is no machine else */
        Provider provider;
        Observer *observers;

        bool refreshing, refresh_again;
        Call *waiting, *waiting_next; /* for the refresh under way, and for the one after it */
        unsigned n_waiting;
        sd_event_source *refresh_source; /* collects what asks for the next refresh */
        sd_event_source *idle_source;

        Start *starts; /* under way */
        struct Consoles *consoles;
        Transfer *transfers;
        uint32_t last_transfer;
        struct Listing *listings; /* of images */
        struct Worker *workers;
        unsigned n_pending; /* calls whose answer waits for something else than systemd */

        /* Asks polkit: -EUSERS where too many are being asked. NULL where nobody can be asked: then only the
         * owner of the scope may do what takes a permission. */
        int (*ask_policy)(void *userdata, const PolicyQuestion *question);
        void *policy_userdata;
};

/* One that knows nothing yet, on a bus and with an event loop, which stay the caller's, as the scope does.
 */
int manager_new(const Scope *scope, sd_event *event, sd_bus *bus, Manager **ret);
void manager_free(Manager *manager);
DEFINE_CLEANUP(Manager *, manager_free);

/* Reads what is there: runs the event loop until all is known. `unit` is a service that is there, of which
 * systemd describes the properties. Errors have been logged. */
int manager_setup(Manager *manager, const char *unit);

/* An observer stays the caller's, and is told until the end of the manager. */
void manager_observe(Manager *manager, Observer *observer);

/* Asks for a refresh soon. */
void manager_refresh_soon(Manager *manager);

/* Runs the operation of a call when a refresh that begins after now is done: `run` is called with it. Takes
 * the call over. */
void manager_refresh_then(Manager *manager, Call *call, void (*run)(Call *call));

/* Somebody wants something: the time until we are idle starts anew. */
void manager_touch(Manager *manager);

/* Whether nothing keeps us. */
bool manager_is_idle(const Manager *manager);

/* The machine of that name: the one that runs, else the one that failed. NULL for none. */
Machine *manager_find(const Manager *manager, const char *name);

/* The one of that name that clients of systemd know, or NULL. */
Machine *manager_find_registered(const Manager *manager, const char *name);

/* Knows of a unit that was started before systemd lists it. */
int manager_add_unit(Manager *manager, const char *unit);

/* Takes a machine over, and tells of it; and the other way. */
int manager_add(Manager *manager, Machine *machine);
void manager_remove(Manager *manager, Machine *machine);

/* Who we are to clients of systemd has been found out: they are told of the machines that are known. */
void manager_set_provider(Manager *manager, Provider provider);

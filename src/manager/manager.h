/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "manager/operation.h"
#include "state/scope.h"
#include "systemd/systemd.h"

/* The manager of machines is a cache over systemd and over the runtime directory. Each change leads to a
 * refresh: the units of machines are listed and compared with the known machines, and observers are told the
 * difference. So no change is lost or counted twice, and a manager that was killed is complete after its
 * first refresh. */

/* The name of the host in lists of machines. */
#define HOST_NAME ".host"

/* The role of this process for org.freedesktop.machine1. */
typedef enum Provider {
        PROVIDER_NONE,   /* another program is the provider, or no program is */
        PROVIDER_OURS,   /* this process is the provider */
        PROVIDER_OTHERS, /* systemd-machined is the provider: machines of mctl are registered there */
} Provider;

typedef struct Transfer Transfer;
typedef struct Start Start;

/* Functions that are called after changes, in the order of manager_observe(). Each may be NULL */
typedef struct Observer {
        /* A machine exists, or no longer exists. A failed machine does not exist. */
        void (*machine_changed)(void *userdata, Machine *machine, bool there);
        /* The same for a machine with a leader, as clients of systemd know machines. */
        void (*machine_published)(void *userdata, Machine *machine, bool there);
        void (*machine_paused)(void *userdata, Machine *machine);
        void (*unit_removed)(void *userdata);
        void (*refreshed)(void *userdata);
        void (*transfer_begun)(void *userdata, const Transfer *transfer);
        void (*transfer_progress)(void *userdata, const Transfer *transfer, uint64_t bytes);
        /* The result is "done", "canceled" or "failed"; the message may be NULL. */
        void (*transfer_ended)(void *userdata, const Transfer *transfer, const char *result,
                               const char *message);
        void (*idle)(void *userdata); /* the manager is idle */
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
        sd_bus *bus; /* the bus of the service manager */
        Systemd *systemd;
        int run_fd;
        Machine **machines;
        size_t n_machines;
        Machine *host; /* the host itself, for operations that its clients call as for a machine; not in the
                          list */
        Provider provider;
        Observer *observers;

        bool refreshing, refresh_again;
        Call *waiting, *waiting_next; /* calls for the current refresh, and for the next one */
        unsigned n_waiting;
        sd_event_source *refresh_source; /* collects changes for the next refresh */
        sd_event_source *idle_source;

        Start *starts; /* a refresh is under way */
        struct Consoles *consoles;
        Transfer *transfers;
        uint32_t last_transfer;
        struct Listing *listings; /* lists of images */
        struct Worker *workers;
        unsigned n_pending; /* number of calls that wait for answers of others than systemd */

        /* Asks polkit. -EUSERS if too many questions are waiting. NULL without polkit: then only the owner
         * of the scope may make calls that need a permission. */
        int (*ask_policy)(void *userdata, const PolicyQuestion *question);
        void *policy_userdata;
};

/* Makes a manager that knows no machines yet. The scope, the bus and the event loop stay the caller's */
int manager_new(const Scope *scope, sd_event *event, sd_bus *bus, Manager **ret);
void manager_free(Manager *manager);
DEFINE_CLEANUP(Manager *, manager_free);

/* Reads the machines: runs the event loop until all machines are known. `unit` is a loaded service, of which
 * systemd describes the properties. Errors have been logged. */
int manager_setup(Manager *manager, const char *unit);

/* Adds an observer, which stays the caller's, and is told until the end of the manager. */
void manager_observe(Manager *manager, Observer *observer);

/* Asks for a refresh soon. */
void manager_refresh_soon(Manager *manager);

/* Calls `run` with the call after a refresh that begins from now on. Takes ownership of the call. */
void manager_refresh_then(Manager *manager, Call *call, void (*run)(Call *call));

/* Starts the time until the manager is idle anew. */
void manager_touch(Manager *manager);

/* Whether the manager has nothing to do. */
bool manager_is_idle(const Manager *manager);

/* Returns the machine of this name: a running one, or else a failed one. NULL if there is none. */
Machine *manager_find(const Manager *manager, const char *name);

/* Returns the machine of this name that clients of systemd know, or NULL. */
Machine *manager_find_registered(const Manager *manager, const char *name);

/* Adds the machine of a unit that was started, before systemd lists the unit. */
int manager_add_unit(Manager *manager, const char *unit);

/* Add and remove a machine, and tell the observers. Adding takes ownership. */
int manager_add(Manager *manager, Machine *machine);
void manager_remove(Manager *manager, Machine *machine);

/* Called when the role of this process is known: observers are told of the known machines. */
void manager_set_provider(Manager *manager, Provider provider);

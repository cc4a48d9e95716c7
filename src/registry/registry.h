/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "sandbox/record.h"

/* mctl-registryd: a cache over systemd and /run/mctl. What changes there leads to one thing only, a refresh: the units
 * of machines are listed and compared with what is known, and the difference is signalled. So nothing can be missed
 * or counted twice, and a registry that was killed is whole after its first refresh. */

#define REGISTRY_NAME      "org.mctl.Registry1"
#define REGISTRY_PATH      "/org/mctl/Registry1"
#define REGISTRY_INTERFACE "org.mctl.Registry1"
#define MACHINE_INTERFACE  "org.mctl.Registry1.Machine"
#define MACHINE_PATH       "/org/mctl/Registry1/machine"

#define ERROR_NO_SUCH_MACHINE "org.mctl.Registry1.NoSuchMachine"
#define ERROR_MACHINE_EXISTS  "org.mctl.Registry1.MachineExists"
#define ERROR_IMAGE_BUSY      "org.mctl.Registry1.ImageBusy"
#define ERROR_INVALID_SPEC    "org.mctl.Registry1.InvalidSpec"
#define ERROR_NO_SUCH_IMAGE   "org.mctl.Registry1.NoSuchImage"

typedef enum MachineState {
        MACHINE_STARTING,
        MACHINE_RUNNING,
        MACHINE_STOPPING,
        MACHINE_FAILED, /* ended, and the unit remembers how */
        _MACHINE_STATE_MAX,
} MachineState;

/* What the host is called where machines are. */
#define HOST_NAME ".host"

/* Our part on org.freedesktop.machine1; see machine1.h. */
typedef enum Machine1Role {
        MACHINE1_NONE, /* Provider=no, and no systemd-machined; or the name is taken */
        MACHINE1_PROVIDER,
        MACHINE1_CLIENT,
} Machine1Role;

typedef struct Registry Registry;
typedef struct Start Start;
typedef struct VarlinkConnection VarlinkConnection;

typedef struct Machine {
        Registry *registry;
        char *name, *unit;
        char *class, *service; /* "container" or "vm", and who registered it: "mctl" for what is ours */
        bool foreign;          /* it is not; the unit is what its leader was found in */
        MachineUnitKind kind;  /* of ours */
        MachineState state;
        Record record;               /* leader 0 where there is none */
        struct timespec record_time; /* of the file that it was read from */
        ino_t record_file;           /* its number */
        char *os;
        char *image;               /* what it is called in the store, or NULL */
        sd_bus_slot *changed_slot; /* for what systemd says of the unit */
        bool paused;               /* by the freezer of its cgroup */
        bool watch_freezer;        /* it was, or is to be: a refresh looks */
        bool seen;                 /* by the refresh under way */
        bool recent;               /* added since that began: it may not know of it */
        bool announced;            /* MachineNew was sent */
        bool forget;               /* was terminated: a failure of the unit is no news */
        bool owns_unit;            /* what is in the unit is in the machine */
        pid_t published; /* its leader, as org.freedesktop.machine1 has it; 0 where that has no machine */
        uint64_t since_monotonic; /* µs since boot */
        uid_t owner;              /* who registered it */
        int *interfaces;          /* of the host that lead there */
        size_t n_interfaces;
        uint32_t vsock_cid; /* of a virtual machine that said so; UINT32_MAX where none did */
        char *ssh_address, *ssh_key;
        char *control_address;     /* where it can be controlled over varlink, or NULL */
        struct Instance *instance; /* what we serve there, where it is ours */
        int leader_fd;             /* of a foreign one */
        sd_event_source *leader_source;
} Machine;

/* A call that is answered once the next refresh is done. */
typedef int (*RefreshedHandler)(Registry *registry, sd_bus_message *call);

typedef struct Waiter {
        sd_bus_message *call;
        RefreshedHandler handler;
        struct VarlinkCall *held; /* instead of both */
        struct Waiter *next;
} Waiter;

struct Registry {
        sd_event *event;
        sd_bus *bus;
        int run_fd; /* /run/mctl */
        Machine **machines;
        size_t n_machines;
        sd_bus_slot *refresh_slot;       /* of the listing under way */
        sd_event_source *refresh_source; /* collects what asks for the next one */
        bool refresh_again;
        Waiter *waiters, *next_waiters; /* for the listing under way, and for the one after it */
        size_t n_waiters;
        Start *starts;   /* under way */
        bool sweep_dirs; /* a unit went: the next refresh looks for what it left */
        sd_event_source *idle_source, *sweep_source;
        struct VarlinkServer *userdb_server, *machine_server;
        struct ResolveHook *resolve_hook;
        struct Consoles *consoles;
        struct Transfer *transfers;
        uint32_t last_transfer;
        bool import1; /* the name is ours */
        Machine host; /* what is asked of it, is done on the host; it is no machine else */
        Machine1Role machine1;
        unsigned n_questions; /* to polkit */
        struct Question *questions;
        unsigned n_workers;
        unsigned n_pending;   /* calls whose answer waits for another */
        char *property_types; /* systemd's own description of the properties of a service */
};

/* An empty one, connected to nothing. NULL when out of memory. */
Registry *registry_new(void);
void registry_free(Registry *registry);
DEFINE_CLEANUP(Registry *, registry_free);

/* Connects, reads what is there, and takes the name. */
int registry_setup(Registry *registry);

/* Asks for a refresh soon. */
void registry_refresh_soon(Registry *registry);

/* Calls the handler with this message when a refresh that begins after now is done. */
int registry_refresh_then(Registry *registry, sd_bus_message *call, RefreshedHandler handler);

/* The same for the call of varlink at hand, which is made anew then. */
int registry_hold(Registry *registry, VarlinkConnection *c);

/* Somebody wants something: the time until we exit starts anew. */
void registry_touch(Registry *registry);

/* The machine of that name: the one that runs, else the one that failed. NULL for none. */
Machine *registry_find(Registry *registry, const char *name);

/* Knows of a unit that we have started before systemd lists it. */
int registry_add_unit(Registry *registry, const char *unit);

/* Takes a machine over, and announces it; and the other way. */
int registry_add(Registry *registry, Machine *machine);
void registry_remove(Registry *registry, Machine *machine);

/* Makes systemd forget that a unit failed. */
void registry_reset_failed(Registry *registry, const char *unit);

/* "starting", "running", … */
const char *machine_state_to_string(const Machine *machine);
/* An empty one; NULL when out of memory. */
Machine *machine_new(Registry *registry);
void machine_free(Machine *machine);
DEFINE_CLEANUP(Machine *, machine_free);
/* The object path; the caller frees it. */
char *machine_path(const char *name);
/* Reads record and operating system anew where the record is another than that known. */
int machine_read(Machine *machine);
void machine_read_os(Machine *machine);
/* Looks whether it is paused. */
void machine_check_freezer(Machine *machine);
/* What people call the image: its name where it is in the store, else its path. "" where it is not known. */
const char *machine_image(const Machine *machine);

/* Opens /proc/PID of the leader of a container. -EOPNOTSUPP where what it shows would be the host: for virtual machines, and
 * for what somebody registered that is in no mount namespace of its own, or in no user namespace but is a user's. */
int machine_open(const Machine *machine);

/* The same, and for the host its first process. */
int machine_open_or_host(const Machine *machine);
bool machine_is_host(const Machine *machine);

/* bus-registry.c, bus-machine.c */
extern const sd_bus_vtable registry_vtable[];
extern const sd_bus_vtable machine_vtable[];
int machine_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                        sd_bus_error *error);
int machine_node_enumerate(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error);

/* The getter get_NAME of a property of a machine's object: an expression that appends it to `reply`, with the machine in
 * `m`. */
#define DEFINE_MACHINE_GETTER(name, expression)                                                           \
        static int get_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)                 \
        {                                                                                                 \
                const Machine *m = userdata;                                                              \
                (void) bus;                                                                               \
                (void) path;                                                                              \
                (void) interface;                                                                         \
                (void) property;                                                                          \
                (void) error;                                                                             \
                return expression;                                                                        \
        }                                                                                                 \
        struct _semicolon_

/* What can be done to a machine, whichever object it is asked of. */
typedef int (*MachineAction)(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_power_off(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_reboot(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_terminate(Registry *registry, Machine *machine, sd_bus_message *call);
/* The same, with nothing for an answer, and without one where `call` is NULL. */
int machine_terminate_quietly(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_kill(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_pause(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_resume(Registry *registry, Machine *machine, sd_bus_message *call);
/* Sends a signal to "leader" or "all"; there is no answer where `call` is NULL. */
int machine_signal(Registry *registry, Machine *machine, const char *whom, int sig, sd_bus_message *call);
int machine_set_properties(Registry *registry, Machine *machine, sd_bus_message *call);
int machine_get_spec(Registry *registry, Machine *machine, sd_bus_message *call);
/* For registry_forward(): the answer of the call is the job that systemd's has; whatever that has, nothing. */
int machine_reply_job(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);
int machine_reply_nothing(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);

/* Makes a call to a method of the manager of systemd on a bus, with these arguments for a beginning. */
int systemd_call(sd_bus *bus, sd_bus_message **ret, const char *method, const char *types, ...);

/* Forwards what systemd answers, on behalf of a caller. Takes over `request`. */
int registry_forward(Registry *registry, sd_bus_message *request, sd_bus_message *call,
                     sd_bus_message_handler_t done, void *userdata);

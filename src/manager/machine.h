/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "manager/call.h"
#include "state/record.h"

typedef enum MachineState {
        MACHINE_STARTING,
        MACHINE_RUNNING,
        MACHINE_STOPPING,
        MACHINE_FAILED, /* ended, and the unit remembers how */
        _MACHINE_STATE_MAX,
} MachineState;

/* A machine as it is known. */
typedef struct Machine {
        Manager *manager;
        char *name, *unit;
        char *class, *service; /* "container" or "vm", and who registered it: "mctl" for what is ours */
        bool foreign;          /* it is not; the unit is what its leader was found in */
        MachineUnitKind kind;  /* of ours */
        MachineState state;
        Record record;               /* leader 0 where there is none */
        struct timespec record_time; /* of the file that it was read from */
        ino_t record_file;           /* its number */
        char *os;                    /* "" for none, NULL where it is not known */
        char *image;                 /* what it is called in the store, or NULL */
        sd_bus_slot *changed_slot;   /* for what systemd says of the unit */
        bool paused;                 /* by the freezer of its cgroup */
        bool watch_freezer;          /* it was, or is to be: a refresh looks */
        bool seen;                   /* by the refresh under way */
        bool recent;                 /* added since that began: it may not know of it */
        bool announced;              /* observers know of it */
        bool forget;                 /* was terminated: a failure of the unit is no news */
        bool owns_unit;              /* what is in the unit is in the machine */
        pid_t published;             /* the leader that clients of systemd know, or 0 */
        uint64_t since_monotonic;    /* µs since boot */
        uid_t owner;                 /* who registered it */
        int *interfaces;             /* of the host that lead there */
        size_t n_interfaces;
        uint32_t vsock_cid; /* of a virtual machine that said so; UINT32_MAX where none did */
        char *ssh_address, *ssh_key;
        char *control_address; /* where it can be controlled over varlink, or NULL */
        void *control;         /* of the door that serves that address */
        int leader_fd;         /* of a foreign one */
        sd_event_source *leader_source;
} Machine;

/* An empty one; NULL when out of memory. */
Machine *machine_new(Manager *manager);
void machine_free(Machine *machine);
DEFINE_CLEANUP(Machine *, machine_free);

/* "starting", "running", … */
const char *machine_state_to_string(const Machine *machine);

/* Reads the record anew where it is another than that known. */
int machine_read(Machine *machine);

/* Finds out what the image of the record is called in the store; nothing is read for that. */
void machine_name_image(Machine *machine);

/* Looks whether it is paused. Returns whether that has changed. */
bool machine_check_freezer(Machine *machine);

/* What people call the image: its name where it is in the store, else its path. "" where it is not known. */
const char *machine_image(const Machine *machine);

/* Whether clients of systemd know it: it has a leader, and has not failed. */
bool machine_is_registered(const Machine *machine);

/* Opens /proc/PID of the leader of a container. -EOPNOTSUPP where what it shows would be the host: for
 * virtual machines, and for what somebody registered that is in no mount namespace of its own, or in no user
 * namespace but is a user's. */
int machine_open(const Machine *machine);

/* The same, and for the host its first process. */
int machine_open_or_host(const Machine *machine);
bool machine_is_host(const Machine *machine);

/* A machine that a process belongs to, or NULL. */
Machine *machine_of_process(const Manager *manager, pid_t pid);

/* Ids below are of the host, and nobody's in a machine that has a range of its own. */
#define MACHINE_HOST_IDS 0x10000U

/* The machine that has this user or group of the host, and which one that is inside, or NULL. Ids that are
 * the host's own as well are no machine's. */
Machine *machine_of_user(const Manager *manager, bool group, uint32_t outer, uint32_t *ret_inner);

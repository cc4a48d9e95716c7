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
        MACHINE_FAILED, /* the machine has ended, and the failed unit is still loaded */
        _MACHINE_STATE_MAX,
} MachineState;

/* A machine, as the manager knows it. */
typedef struct Machine {
        Manager *manager;
        char *name, *unit;
        char *class, *service; /* "container" or "vm", and the program that registered the machine: "mctl"
                                  for machines of mctl */
        bool foreign; /* another program has registered the machine; `unit` is the unit in which its leader
                         was found */
        MachineUnitKind kind; /* of machines of mctl */
        MachineState state;
        Record record;               /* leader 0 if there is none */
        struct timespec record_time; /* time of the file of the record */
        ino_t record_file;           /* inode number of this file */
        char *os;                    /* "" for an image without an OS name, NULL if unknown */
        char *image;                 /* the name of the image in the store, or NULL */
        sd_bus_slot *changed_slot;   /* of the signals about the unit */
        bool paused;                 /* the freezer of its cgroup says so */
        bool watch_freezer;          /* the machine was paused, or will be: a refresh reads the freezer */
        bool seen;                   /* the current refresh has listed the unit */
        bool recent;     /* added after the current refresh had begun, which may not list the unit */
        bool announced;  /* observers have been told of the machine */
        bool forget;     /* the machine was terminated: a failure of its unit is expected */
        bool owns_unit;  /* all processes in the unit belong to the machine */
        pid_t published; /* the leader that clients of systemd know, or 0 */
        uint64_t since_monotonic; /* µs since boot */
        uid_t owner;              /* the user who registered the machine */
        int *interfaces;          /* interfaces of the host that are connected to the machine */
        size_t n_interfaces;
        uint32_t vsock_cid; /* vsock address of a virtual machine; UINT32_MAX if unknown */
        char *ssh_address, *ssh_key;
        char *control_address; /* address of its varlink control socket, or NULL */
        void *control;         /* data of the door that serves this address */
        int leader_fd;         /* pidfd of the leader of a machine that another program registered */
        sd_event_source *leader_source;
} Machine;

/* Makes an empty machine. Returns NULL when out of memory. */
Machine *machine_new(Manager *manager);
void machine_free(Machine *machine);
DEFINE_CLEANUP(Machine *, machine_free);

/* "starting", "running", … */
const char *machine_state_to_string(const Machine *machine);

/* Reads the record if its file has changed. */
int machine_read(Machine *machine);

/* Finds the name in the store for the image of the record, without reading the store. */
void machine_name_image(Machine *machine);

/* Reads whether the machine is paused. Returns whether this has changed. */
bool machine_check_freezer(Machine *machine);

/* Returns the image for people: its name in the store, or its path. "" if unknown. */
const char *machine_image(const Machine *machine);

/* Whether clients of systemd know the machine: it has a leader, and has not failed. */
bool machine_is_registered(const Machine *machine);

/* Opens /proc/PID of the leader of a container. -EOPNOTSUPP if the leader is in the namespaces of the host:
 * for virtual machines, for registered processes without a mount namespace, and for processes of users
 * without a user namespace. */
int machine_open(const Machine *machine);

/* Opens /proc/PID as machine_open_leader() does. For the host, opens that of PID 1. */
int machine_open_or_host(const Machine *machine);
bool machine_is_host(const Machine *machine);

/* Returns the machine that a process belongs to, or NULL. */
Machine *machine_of_process(const Manager *manager, pid_t pid);

/* IDs below this one belong to the host, and to no machine with a range. */
#define MACHINE_HOST_IDS 0x10000U

/* Returns the machine that has this user or group of the host, and the ID inside, or NULL. IDs that the host
 * has as well belong to no machine. */
Machine *machine_of_user(const Manager *manager, bool group, uint32_t outer, uint32_t *ret_inner);

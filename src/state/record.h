/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "spec/spec.h"
#include "state/claim.h"
#include "state/scope.h"

/* The socket that the init of a machine notifies, in the directory of the machine. */
#define NOTIFY_FILE "notify"

/* The state of a running machine in /run/mctl. Each machine has a directory, /run/mctl/machines/NAME or
 * /run/mctl/containers/NAME by the kind of its unit, which systemd makes and removes with the unit
 * (RuntimeDirectory=). "spec.json" is the spec from which the machine was started. "leader" is the record of
 * the process that leads the machine. The kernel and systemd have the true state, so readers check the
 * record against them. */

typedef struct Record {
        pid_t leader;                /* the launcher at first, then the first process of the container */
        uint64_t start_time;         /* of the leader, in clock ticks since boot */
        uint64_t since;              /* the start of the machine, µs since 1970 */
        uid_t base;                  /* first ID of its range of user IDs, or 0 without a range of its own */
        char image_claim[CLAIM_MAX]; /* the claim to the image that the machine writes to, or "" */
        bool handed_over;            /* the leader is the first process of the container */
        bool init_notifies;          /* the init is known to say when the machine is up */
        dev_t console;               /* the devpts of the console; 0 for none */
        ino_t notify;                /* the socket that the init notifies, by its inode; 0 for none */
        char uuid[33];               /* of the machine, 32 hexadecimal digits, or "" */
        char *root;                  /* the path of the image on the host, or NULL */
        /* the name of the image's system by os-release(5), or "" if it has none; NULL in records of older
         * releases */
        char *os;
        /* the part of the image that the machine runs from: the first layer of a stack, the UUID of a
         * subvolume, or "" */
        char tree[33];
} Record;

void record_clear(Record *record);
#define _cleanup_record_ _cleanup_(record_clear)

/* Opens the runtime directory of the scope, and makes it if it is missing. */
int run_dir_open(const Scope *scope);

/* Takes the lock that guards names and ranges, for microseconds. The lock ends with the returned descriptor.
 * -EWOULDBLOCK if the lock is taken and `wait` is false. */
int run_dir_lock(int run_fd, bool wait);

/* Returns the path of the directory of a machine, relative to /run/mctl. The caller frees it. */
char *machine_dir_path(MachineUnitKind kind, const char *name);

/* Returns the path of the socket that the init of a machine notifies. The caller frees it. */
char *machine_notify_path(const Scope *scope, MachineUnitKind kind, const char *name);

/* Opens the directory of a machine, and makes it if `make` is true. -ENOENT if it is missing. */
int machine_dir_open(int run_fd, MachineUnitKind kind, const char *name, bool make);

/* Removes the directory of a machine that does not run, and the spec in it. */
int machine_dir_remove(int run_fd, MachineUnitKind kind, const char *name);

/* Read and replace the record of a machine. -ENOENT if there is no record, -EBADMSG if it is invalid. */
int record_read(int machine_fd, Record *ret);
int record_write(int machine_fd, const Record *record);

/* Whether the process of a record still runs. */
bool record_alive(const Record *record);

/* Returns 1 if a unit of this kind runs or starts the machine `name`, and the name of the unit, which the
 * caller frees; else 0. */
int machine_is_running(int run_fd, MachineUnitKind kind, const char *name, char **ret_unit);

/* Read the spec of a machine into a new object, and write the spec. -ENOENT if there is no spec. */
int machine_spec_read(int machine_fd, const char *name, Spec **ret, char **ret_error);
int machine_spec_write(int machine_fd, const Spec *spec);

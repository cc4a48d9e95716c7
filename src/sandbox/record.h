/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/names.h"
#include "sandbox/claim.h"
#include "spec/spec.h"

/* What is known of a running machine, under /run/mctl. Each kind of unit has a directory for each of its machines,
 * /run/mctl/machines/NAME and /run/mctl/containers/NAME, which systemd makes and removes with the unit
 * (RuntimeDirectory=). In it are "spec.json", the spec as it was executed, and "leader", a record of the process that
 * leads the machine. The kernel and systemd know better; readers check the record against them. */

#define RUN_DIR "/run/mctl"

typedef struct Record {
        pid_t leader;                /* the launcher at first, then the container's first process */
        uint64_t start_time;         /* of that process, in clock ticks since boot */
        uint64_t since;              /* when the machine was started; µs since 1970 */
        uid_t base;                  /* of its range of ids, 0 where it has none of its own */
        char image_claim[CLAIM_MAX]; /* on the image that it writes to, or "" */
        bool handed_over;            /* the leader is the container's */
        char uuid[33];               /* of the machine, 32 hexadecimal digits, or "" */
        char *root;                  /* its directory on the host, or NULL */
        char tree
                [33]; /* what of that it runs from: the first layer of a stack, the UUID of a subvolume, or "" */
} Record;

void record_clear(Record *record);
#define _cleanup_record_ _cleanup_(record_clear)

/* Opens /run/mctl, made where it is missing. */
int run_dir_open(void);

/* Takes the lock that guards names and ranges, and is held for microseconds; it ends with the descriptor. -EWOULDBLOCK
 * where somebody has it, and `wait` is false. */
int run_dir_lock(int run_fd, bool wait);

/* The path of the directory of a machine relative to /run/mctl; the caller frees it. */
char *machine_dir_path(MachineUnitKind kind, const char *name);

/* Opens that directory; -ENOENT where there is none. */
int machine_dir_open(int run_fd, MachineUnitKind kind, const char *name, bool make);

/* Removes it, with a spec that no machine runs from. */
int machine_dir_remove(int run_fd, MachineUnitKind kind, const char *name);

/* Reads and replaces the record of a machine. -ENOENT where there is none, -EBADMSG for one that is none. */
int record_read(int machine_fd, Record *ret);
int record_write(int machine_fd, const Record *record);

/* Whether the process of a record lives. */
bool record_alive(const Record *record);

/* Whether a machine of that name runs, or is being started, as a unit of this kind: 1, and the name of the unit, which
 * the caller frees; else 0. */
int machine_is_running(int run_fd, MachineUnitKind kind, const char *name, char **ret_unit);

/* Reads the spec of a machine into a new object. -ENOENT where there is none. */
int machine_spec_read(int machine_fd, const char *name, Spec **ret, char **ret_error);
int machine_spec_write(int machine_fd, const Spec *spec);

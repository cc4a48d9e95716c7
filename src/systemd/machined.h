/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "basic/str.h"

/* A client of systemd-machined (org.freedesktop.machine1(5)), which may be missing on a host. Answers are
 * passed to callbacks. Texts in an answer are valid only during the callback. If a function returns an
 * error, no call was sent, and the callback is not called. */

#define MACHINED_NAME     "org.freedesktop.machine1"
#define MACHINED_PATH     "/org/freedesktop/machine1"
#define MACHINED_MANAGER  MACHINED_NAME ".Manager"
#define MACHINED_MACHINE  MACHINED_NAME ".Machine"
#define MACHINED_MACHINES MACHINED_PATH "/machine"
#define MACHINED_UNIT     "systemd-machined.service"

typedef enum MachinedResult {
        MACHINED_DONE,
        MACHINED_UNKNOWN, /* no such machine */
        MACHINED_EXISTS,  /* a machine of that name exists */
        MACHINED_FAILED,
} MachinedResult;

/* Properties of a machine in systemd-machined. Missing ones are "" or 0. */
typedef struct MachinedMachine {
        const char *name, *service, *class, *unit, *root, *state;
        uint32_t leader, supervisor;
        uint64_t since; /* µs since 1970 */
} MachinedMachine;

typedef void (*MachinedReply)(void *userdata, MachinedResult result, const char *message);
typedef void (*MachinedKnown)(void *userdata, MachinedResult result, const MachinedMachine *machine);

/* Registers a machine of mctl, with "mctl" as its service. The UUID has 32 hexadecimal digits, or is "". */
int machined_register(sd_bus *bus, const char *name, const char *uuid, pid_t leader, const char *root,
                      MachinedReply reply, void *userdata);
int machined_unregister(sd_bus *bus, const char *name, MachinedReply reply, void *userdata);

/* Reads the properties of a machine. */
int machined_ask(sd_bus *bus, const char *name, MachinedKnown told, void *userdata);

/* Callbacks for machines of systemd-machined: `known` for each existing and each new machine, `removed` for
 * each machine that goes away. */
typedef struct MachinedEvents {
        void (*known)(void *userdata, MachinedResult result, const MachinedMachine *machine);
        void (*removed)(void *userdata, const char *name);
        void *userdata;
} MachinedEvents;

/* Calls these callbacks from now on, first for existing machines. `events` must stay valid as long as the
 * bus. */
int machined_follow(sd_bus *bus, const MachinedEvents *events);

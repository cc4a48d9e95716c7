/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/str.h"

/* A call of the manager, which is answered once, now or later. A door makes a call of a message of its
 * protocol, and turns the answer or the error into a message. The functions of the manager see no messages.
 */

typedef struct Call Call;
typedef struct Manager Manager;
typedef struct Operation Operation;

/* The caller. */
typedef struct Caller {
        uid_t uid;
        pid_t pid;
        uint64_t start_time; /* start time of the process in clock ticks since boot, 0 if unknown */
        char *bus_name;      /* name on the bus; NULL for a call that did not come over the bus */
        bool interactive;    /* polkit may ask the caller for a password */
} Caller;

/* The family of interfaces that was called: mctl's own, or those that clients of systemd know. The families
 * differ in the questions to polkit, and in the machines that exist. */
typedef enum Family {
        FAMILY_MCTL,
        FAMILY_SYSTEMD,
        _FAMILY_MAX,
} Family;

/* Errors, as far as a caller can tell them apart. */
typedef enum ErrorKind {
        ERROR_ERRNO, /* any other error, by its errno */
        ERROR_INVALID_ARGUMENT,
        ERROR_NOT_SUPPORTED,
        ERROR_DENIED,
        ERROR_ASK_PASSWORD, /* polkit would ask for a password, but the caller does not allow that */
        ERROR_LIMIT,
        ERROR_NO_SUCH_MACHINE,
        ERROR_MACHINE_EXISTS,
        ERROR_NO_MACHINE_OF_PROCESS,
        ERROR_NO_PRIVATE_NETWORK,
        ERROR_NO_SUCH_USER,
        ERROR_NO_SUCH_GROUP,
        ERROR_USER_OF_HOST,
        ERROR_INVALID_SPEC,
        ERROR_NO_SUCH_IMAGE, /* no image that a machine could run from */
        ERROR_IMAGE_UNKNOWN, /* no image of this name in the store */
        ERROR_IMAGE_BUSY,    /* a machine cannot start from it */
        ERROR_BUSY,
        ERROR_NO_SUCH_TRANSFER,
        ERROR_TRANSFER_UNDER_WAY,
        ERROR_BUS, /* an error of systemd, by its D-Bus name */
        _ERROR_KIND_MAX,
} ErrorKind;

typedef struct Error {
        ErrorKind kind;
        int number;          /* a positive errno(3), 0 if the kind of the error is enough */
        const char *name;    /* D-Bus name of ERROR_BUS */
        const char *message; /* text for people */
} Error;

/* The functions of a door that answer a call. Both free the call, which is part of an object of the door. */
typedef struct CallDoor {
        /* The answer is a struct as in the operation's schema, or NULL for an empty answer. */
        void (*answered)(Call *call, const void *answer);
        void (*failed)(Call *call, const Error *error);
        void (*free)(Call *call);
        /* From then on, the door calls `gone` of the call when the caller has left. May be NULL. */
        int (*watch)(Call *call);
} CallDoor;

struct Call {
        Manager *manager;
        const CallDoor *door;
        Family family;
        Caller caller;
        const Operation *operation;
        char *target;                  /* the name of the machine or image, or NULL */
        void *arguments;               /* a struct as in the operation's schema, or NULL */
        struct ExtraProperties *extra; /* properties of the unit that the operation makes, or NULL */
        bool granted;                  /* polkit is not asked: the manager itself makes the call */
        /* Set by an operation that has work under way. After the caller has left, the work need not answer.
         */
        void (*gone)(Call *call, void *userdata);
        void *gone_userdata;
        void (*resume)(Call *call); /* while the call waits for a refresh */
        Call *next;                 /* in a list of calls that wait for the same answer */
};

/* Each function answers the call, and frees it. */
void call_answer(Call *call, const void *answer);
void call_fail(Call *call, ErrorKind kind, const char *format, ...) _printf_(3, 4);
/* Fails with a negative errno. The text of the errno is appended to the formatted text, after a colon. */
void call_fail_errno(Call *call, int r, const char *format, ...) _printf_(3, 4);
void call_fail_error(Call *call, const Error *error);
void call_free(Call *call);
DEFINE_CLEANUP(Call *, call_free);

/* Returns a name or text of a caller for messages: with at most 80 bytes, and without control
 * characters. The caller frees the text. */
char *call_show(const char *text);

/* Makes the door call `gone` when the caller leaves. */
void call_watch(Call *call, void (*gone)(Call *call, void *userdata), void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/str.h"

/* A call: somebody asks the manager for something, and is answered once, now or later. A door makes it of
 * one protocol's message, and turns the answer, or the error, into another one. The functions of the manager
 * see neither. */

typedef struct Call Call;
typedef struct Manager Manager;
typedef struct Operation Operation;

/* Who asks. */
typedef struct Caller {
        uid_t uid;
        pid_t pid;
        uint64_t start_time; /* of that process: clock ticks since boot, 0 where it is not known */
        char *bus_name;      /* on the bus; NULL for who came another way */
        bool interactive;    /* may be asked for a password */
} Caller;

/* Which family of interfaces was asked: ours, or those that systemd's clients know. They differ in what
 * polkit is asked, and in which machines there are. */
typedef enum Family {
        FAMILY_MCTL,
        FAMILY_SYSTEMD,
        _FAMILY_MAX,
} Family;

/* What can go wrong, as far as a caller is to tell it apart. */
typedef enum ErrorKind {
        ERROR_ERRNO, /* all else: by its number */
        ERROR_INVALID_ARGUMENT,
        ERROR_NOT_SUPPORTED,
        ERROR_DENIED,
        ERROR_ASK_PASSWORD, /* who asked did not want to be asked for one */
        ERROR_LIMIT,
        ERROR_NO_SUCH_MACHINE,
        ERROR_MACHINE_EXISTS,
        ERROR_NO_MACHINE_OF_PROCESS,
        ERROR_NO_PRIVATE_NETWORK,
        ERROR_NO_SUCH_USER,
        ERROR_NO_SUCH_GROUP,
        ERROR_USER_OF_HOST,
        ERROR_INVALID_SPEC,
        ERROR_NO_SUCH_IMAGE, /* that a machine could run from */
        ERROR_IMAGE_UNKNOWN, /* in the store */
        ERROR_IMAGE_BUSY,    /* a machine cannot start from it */
        ERROR_BUSY,
        ERROR_NO_SUCH_TRANSFER,
        ERROR_TRANSFER_UNDER_WAY,
        ERROR_BUS, /* an error of systemd, by its name */
        _ERROR_KIND_MAX,
} ErrorKind;

typedef struct Error {
        ErrorKind kind;
        int number;          /* of errno(3), positive; 0 where the kind says it all */
        const char *name;    /* of ERROR_BUS */
        const char *message; /* for people */
} Error;

/* How a door answers. It frees the call, which is embedded in an object of its own. */
typedef struct CallDoor {
        /* The answer is a struct as the operation's schema describes it, or NULL for one without anything in
         * it. */
        void (*answered)(Call *call, const void *answer);
        void (*failed)(Call *call, const Error *error);
        void (*free)(Call *call);
        /* From now on, `gone` of the call is to be called when who asked has gone. May be NULL. */
        int (*watch)(Call *call);
} CallDoor;

struct Call {
        Manager *manager;
        const CallDoor *door;
        Family family;
        Caller caller;
        const Operation *operation;
        char *target;    /* the name of the machine or of the image that it is about, or NULL */
        void *arguments; /* as the operation's schema has them, or NULL */
        struct ExtraProperties *extra; /* of a unit that is made, or NULL */
        bool granted;                  /* nobody has to be asked: what asks is the manager itself */
        /* Set by an operation that has work under way for the call; once who asked is gone, nobody takes its
         * answer. */
        void (*gone)(Call *call, void *userdata);
        void *gone_userdata;
        void (*resume)(Call *call); /* while it waits for a refresh */
        Call *next;                 /* of a list of calls that wait for the same */
};

/* Each answers the call, and frees it. */
void call_answer(Call *call, const void *answer);
void call_fail(Call *call, ErrorKind kind, const char *format, ...) _printf_(3, 4);
/* With a negative number of errno(3); its text stands behind the format's, and a colon. */
void call_fail_errno(Call *call, int r, const char *format, ...) _printf_(3, 4);
void call_fail_error(Call *call, const Error *error);
void call_free(Call *call);
DEFINE_CLEANUP(Call *, call_free);

/* The name or the text of a caller, as it may be shown: with at most 80 characters, and none that a terminal
 * would act upon. The caller frees it. */
char *call_show(const char *text);

/* Has `gone` called when who asked goes away. */
void call_watch(Call *call, void (*gone)(Call *call, void *userdata), void *userdata);

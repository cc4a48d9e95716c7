/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/varlink.h"
#include "manager/manager.h"

/* A door to the manager over varlink. A method is a row: an operation and, if the answer has content, a
 * function that sends it. The parameters are the keys of the operation's schema. Other parameters are
 * ignored. */

typedef struct DoorMethod DoorMethod;

/* A call that came over varlink. */
typedef struct DoorCall {
        Call call;
        const DoorMethod *method;
        VarlinkCall *waiting;
} DoorCall;

struct DoorMethod {
        const char *name; /* name with the interface */
        const Operation *operation;
        const char *required; /* a required parameter, or NULL */
        /* Reads parameters that have other names than in the schema. -EINVAL with the name of the wrong
         * parameter */
        int (*read)(const json_t *parameters, void *arguments, const char **ret_wrong);
        /* Sends the answer. Takes ownership of `waiting`, and finishes it. NULL for an empty answer. */
        void (*answered)(VarlinkCall *waiting, const Call *call, const void *answer);
};

/* Runs an operation for the peer, on the machine or image of this name, which may be NULL. */
int door_call(VarlinkConnection *c, Manager *manager, const DoorMethod *method, const json_t *parameters,
              const char *target);

/* Returns the row of the current method. */
const DoorMethod *door_find(const DoorMethod *methods, const VarlinkConnection *c);

/* Runs the current call again after the next refresh of the manager: varlink_was_held() is then true.
 * -EALREADY if the call has been run again already. */
int door_hold(VarlinkConnection *c, Manager *manager);

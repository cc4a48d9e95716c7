/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/varlink.h"
#include "manager/manager.h"

/* A door to the manager over varlink. A method is a row: its operation, and how the answer is told where it
 * is more than that all is well. Its parameters are the keys of the operation's schema, others are passed
 * over. */

typedef struct DoorMethod DoorMethod;

/* A call that came over varlink. */
typedef struct DoorCall {
        Call call;
        const DoorMethod *method;
        VarlinkCall *waiting;
} DoorCall;

struct DoorMethod {
        const char *name; /* with its interface */
        const Operation *operation;
        const char *required; /* a parameter that must be there, or NULL */
        /* Reads what is called otherwise here than in the schema. -EINVAL with the parameter that is wrong.
         */
        int (*read)(const json_t *parameters, void *arguments, const char **ret_wrong);
        /* Takes `waiting` over, which is to be finished. NULL for an answer with nothing in it. */
        void (*answered)(VarlinkCall *waiting, const Call *call, const void *answer);
};

/* Has the operation run for who asks, about a machine or an image of that name, which may be NULL. */
int door_call(VarlinkConnection *c, Manager *manager, const DoorMethod *method, const json_t *parameters,
              const char *target);

/* The row of the method at hand. */
const DoorMethod *door_find(const DoorMethod *methods, const VarlinkConnection *c);

/* Has the call at hand made anew once the manager has refreshed: then varlink_was_held(). -EALREADY where it
 * was. */
int door_hold(VarlinkConnection *c, Manager *manager);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/call.h"
#include "manager/policy.h"
#include "spec/schema.h"

/* Operations of the manager. Each operation is a row: schemas of its arguments and its answer, the question
 * to polkit, and the function. The file of an object defines its rows, and a door names them. */

typedef struct Machine Machine;

typedef enum TargetKind {
        TARGET_NONE,
        TARGET_MACHINE,      /* a known machine of the name in the call */
        TARGET_MACHINE_NAME, /* a name of a machine, which need not be known */
        TARGET_IMAGE,        /* a name of an image, which need not exist */
} TargetKind;

struct Operation {
        const char *verb;
        TargetKind target;
        bool refresh; /* the list of machines is refreshed first; always so for operations on machines */
        const Schema *arguments, *answer; /* schemas; NULL for no arguments, or no answer */
        PolicyKind policy;
        /* Answers the call, now or later. The arguments belong to the call. A negative errno answers the
         * call with this error. */
        int (*run)(Call *call, Machine *machine, const void *arguments);
        /* Checks the arguments before polkit is asked: answers the call and returns 0 for wrong ones. May be
         * NULL. */
        int (*judge)(Call *call, const void *arguments);
        /* Adds details for rules of polkit: keys and values by turns. May be NULL. */
        int (*details)(const Call *call, const void *arguments, Strv *ret);
        /* Returns the verb for polkit, if it depends on the arguments. May be NULL. */
        const char *(*find_verb)(const Call *call, const void *arguments);
        const void *variant; /* data by which operations with the same function differ */
};

/* Runs the operation of a call: finds the target, asks polkit, and answers. Takes ownership of the call. */
void operation_begin(Call *call);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/call.h"
#include "manager/policy.h"
#include "spec/schema.h"

/* What can be asked of the manager. Each operation is a row: what it takes and gives as schemas, what polkit
 * is asked, and the function. The rows of a file are its own; a door names them. */

typedef struct Machine Machine;

typedef enum TargetKind {
        TARGET_NONE,
        TARGET_MACHINE,      /* of that name, which is known */
        TARGET_MACHINE_NAME, /* of that name, which need not be known */
        TARGET_IMAGE,        /* of that name, which need not be there */
} TargetKind;

struct Operation {
        const char *verb;
        TargetKind target;
        bool refresh; /* the machines are as they are when the operation runs, not a moment ago; of machines
                         always */
        const Schema *arguments, *answer; /* NULL for none */
        PolicyKind policy;
        /* Answers the call, now or later; the arguments stay the call's. A negative errno answers it with
         * that. */
        int (*run)(Call *call, Machine *machine, const void *arguments);
        /* Judges the arguments before polkit is asked: answers the call and returns 0 for bad ones. May be
         * NULL. */
        int (*judge)(Call *call, const void *arguments);
        /* What rules of polkit may want to know besides, keys and values by turns. May be NULL. */
        int (*details)(const Call *call, const void *arguments, Strv *ret);
        /* What polkit is told of as the verb, where that depends on the arguments. May be NULL. */
        const char *(*find_verb)(const Call *call, const void *arguments);
        const void *variant; /* what tells operations with one function apart */
};

/* Runs the call's operation: finds what it is about, asks polkit, and answers. Takes the call over. */
void operation_begin(Call *call);

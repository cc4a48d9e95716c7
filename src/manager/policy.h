/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/call.h"

/* The questions to polkit in one table, by the operation and the family of the interface. */

typedef enum PolicyKind {
        POLICY_ANYBODY,
        POLICY_MANAGE,
        POLICY_MANAGE_OWN, /* the user who registered the machine needs no permission */
        POLICY_START,
        POLICY_COPY,
        POLICY_BIND,
        POLICY_EXEC,
        POLICY_CONSOLE,
        POLICY_OPEN_ROOT,
        POLICY_OPEN_PTY,
        POLICY_LOGIN,
        POLICY_SHELL,
        POLICY_REGISTER,
        POLICY_CREATE,
        POLICY_IMAGES,
        POLICY_CLEAN,
        POLICY_POOL,
        POLICY_IMPORT,
        POLICY_EXPORT,
        POLICY_PULL,
        POLICY_UPDATE,
        _POLICY_KIND_MAX,
} PolicyKind;

/* A question to polkit. Without an action, each user has the permission. */
typedef struct Policy {
        const char *action;
        const char *verb;        /* the verb for rules; NULL for that of the operation */
        const char *host_action; /* the action if the machine is the host; NULL if the operation is not
                                    possible for the host */
        bool owner;              /* the user who registered the machine needs no permission */
} Policy;

/* Returns the row of an operation and a family. */
const Policy *policy_find(PolicyKind kind, Family family) _const_;

typedef enum PolicyVerdict {
        POLICY_GRANTED,
        POLICY_DENIED,
        POLICY_ASK_PASSWORD, /* a password would give the permission, but the caller does not allow polkit to
                                ask */
} PolicyVerdict;

/* A question that is being asked. The answer is passed to `told`, with a text for people unless the
 * permission is granted. */
typedef struct PolicyQuestion {
        const Caller *caller;
        const char *action, *verb, *machine;
        Strv details; /* keys and values by turns */
        void (*told)(void *userdata, PolicyVerdict verdict, const char *message);
        void *userdata;
} PolicyQuestion;

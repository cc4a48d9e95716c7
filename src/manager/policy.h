/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/call.h"

/* What polkit is asked before something is done: one table, by what is done and by the family of interfaces
 * that was asked for it. */

typedef enum PolicyKind {
        POLICY_ANYBODY,
        POLICY_MANAGE,
        POLICY_MANAGE_OWN, /* as who registered the machine, nobody is asked */
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

/* What polkit is asked. Without an action, anybody may. */
typedef struct Policy {
        const char *action;
        const char *verb;        /* what rules are told; NULL for the operation's own */
        const char *host_action; /* where the machine is the host itself; NULL: not of the host */
        bool owner;              /* who registered the machine is asked nothing */
} Policy;

/* The row of the table. */
const Policy *policy_find(PolicyKind kind, Family family) _const_;

typedef enum PolicyVerdict {
        POLICY_GRANTED,
        POLICY_DENIED,
        POLICY_ASK_PASSWORD, /* a password would do, but who asks does not want to be asked for one */
} PolicyVerdict;

/* A question to polkit. The answer comes to `told`, with a text for people unless it is granted. */
typedef struct PolicyQuestion {
        const Caller *caller;
        const char *action, *verb, *machine;
        Strv details; /* keys and values by turns */
        void (*told)(void *userdata, PolicyVerdict verdict, const char *message);
        void *userdata;
} PolicyQuestion;

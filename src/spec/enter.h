/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* One more program in a running machine: the requests of the command line and of the registry to
 * mctl-enter. */

/* The flags of ExecInMachine(); see org.mctl.Registry1(5). */
#define ENTER_INTERACTIVE UINT64_C(1) /* keep standard input */
#define ENTER_TERMINAL    UINT64_C(2)
#define ENTER_PRIVILEGED  UINT64_C(4)
#define ENTER_LOGIN       UINT64_C(8)
#define ENTER_FLAGS       UINT64_C(15) /* all flags */

/* Exit statuses for a program that did not run, as in Docker and in shells. */
#define STATUS_NOT_RUN        125
#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NO_PROGRAM     127

typedef struct EnterRequest {
        /* user and directory: NULL or "" for the settings of the machine */
        const char *machine, *user, *directory;
        Strv environment, command;
        uint64_t flags;
} EnterRequest;

/* Makes the command line of mctl-enter. The caller frees it. The only error is -ENOMEM. */
int enter_command(const EnterRequest *request, Strv *ret);

/* Makes a command line of systemd-run, to be executed in the machine. systemd-run makes a login session of
 * the request's user by PAM, runs the command or the user's shell in it, and returns the exit status. The
 * caller frees the command line. The only error is -ENOMEM. */
int session_command(const EnterRequest *request, const char *shell, Strv *ret);

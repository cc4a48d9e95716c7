/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* One more program in a machine that is up: what the command line and the registry ask mctl-enter for. */

/* As ExecInMachine() has them; see org.mctl.Registry1(5). */
#define ENTER_INTERACTIVE UINT64_C(1) /* keep standard input */
#define ENTER_TERMINAL    UINT64_C(2)
#define ENTER_PRIVILEGED  UINT64_C(4)
#define ENTER_LOGIN       UINT64_C(8)
#define ENTER_FLAGS       UINT64_C(15) /* all of them */

/* Exit statuses that are not the program's, as Docker and shells have them. */
#define STATUS_NOT_RUN        125
#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NO_PROGRAM     127

typedef struct EnterRequest {
        const char *machine, *user, *directory; /* NULL or "" for what the machine's settings say */
        Strv environment, command;
        uint64_t flags;
} EnterRequest;

/* The command line of mctl-enter for that; the caller frees it. -ENOMEM only. */
int enter_command(const EnterRequest *request, Strv *ret);

/* The command line of systemd-run that makes a login session of the request's user by PAM, in it the command or his shell, and
 * returns the exit status; the machine is that where it is run. The caller frees it. -ENOMEM only. */
int session_command(const EnterRequest *request, const char *shell, Strv *ret);

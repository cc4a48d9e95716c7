/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"
#include "cli/terminal.h"

/* The main process of a unit that we speak for: its streams are ours, and so are its exit status and the signals for it. */
typedef struct Process {
        const char *unit, *name; /* name: of the machine, or what pass_signal() knows it by */
        /* NULL: they are not for it, and end us. */
        int (*pass_signal)(Context *c, const char *name, int sig, unsigned count);

        int (*reopen)(Context *c,
                      struct Process *p); /* its terminal, where that ended and it did not; or NULL */

        bool prepared;
        int stdin_fd; /* what is to be its standard input */
        int signal_fd;
        unsigned n_signals;
        Terminal *terminal;
        bool started, ended; /* set when it is not known to run, which is then looked up */
        bool checked;        /* that it will not be started again */
        bool left;           /* by us, while it goes on */
        int code, status;    /* CLD_…, and the status or signal */
        Jobs jobs;           /* the one of the start */
} Process;

void process_clear(Process *p);

/* To be called before it is started: watches the unit, and takes signals over. Errors are logged. */
int process_prepare(Context *c, Process *p);

/* Finds its standard input: that of the caller with --interactive, and with --tty the socket that a terminal comes over. */
int process_prepare_input(Context *c, Process *p);

/* Blocks the signals that are meant for a program that we speak for. Returns a signalfd for them. */
int process_block_signals(void);

/* Waits until the unit has ended, passing on what there is. Returns the exit status for the command line. The job, which may be
 * NULL, is the one that starts it. */
int process_wait(Context *c, Process *p, const char *job);

/* verb-console.c: prepares it, and connects our terminal to the machine's, which the registry holds. */
int console_attach(Context *c, Process *p);

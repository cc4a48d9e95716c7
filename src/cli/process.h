/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/bus.h"
#include "cli/terminal.h"

/* The main process of a unit, which mctl acts for: it passes on the standard streams and the signals, and
 * returns the exit status of the process. */
typedef struct Process {
        const char *unit, *name; /* name: of the machine, or the name for pass_signal() */
        /* Passes a signal to the process. NULL: a signal ends mctl instead. */
        int (*pass_signal)(Context *c, const char *name, int sig, unsigned count);

        /* Opens the terminal again, if it was closed although the process still runs. May be NULL. */
        int (*reopen)(Context *c, struct Process *p);

        bool prepared;
        int stdin_fd; /* standard input for the process */
        int signal_fd;
        unsigned n_signals;
        Terminal *terminal;
        bool started, ended; /* ended: also set initially if it is not known whether the process runs */
        bool checked;        /* `ended` was confirmed by reading the state again */
        bool left;           /* mctl ends, although the process still runs */
        int code, status;    /* CLD_…, and the exit status or signal */
        Jobs jobs;           /* the job of the start */
} Process;

void process_clear(Process *p);

/* Watches the unit, and blocks signals. Call this before the process is started. Errors are logged. */
int process_prepare(Context *c, Process *p);

/* Sets p->stdin_fd: with --interactive, standard input of mctl; with --tty, the socket over which the
 * terminal comes; otherwise /dev/null. Errors are logged. */
int process_prepare_input(Context *c, Process *p);

/* Blocks the signals that are passed on to a process. Returns a signalfd for them. */
int process_block_signals(void);

/* Passes streams and signals on until the unit has ended. Returns the exit status for the command line.
 * `job` is the job of the start, or NULL. */
int process_wait(Context *c, Process *p, const char *job);

/* Prepares the process, and connects our terminal with the console of the machine, which the registry holds.
 * In verb-console.c. Errors are logged. */
int console_attach(Context *c, Process *p);

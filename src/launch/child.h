/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* The first process of a container, from its start until it executes the program. The process gets from the
 * launcher all descriptors of the host that it needs. */
typedef struct Child {
        const Plan *plan;
        ConsoleMode console;
        int channel_fd;  /* to the launcher; for each step, one byte in each direction */
        int launcher_fd; /* pidfd of the launcher */
        int control_fd;  /* cgroup.subtree_control of the unit */
        const char *controllers;
        const void *filter; /* seccomp programs, or NULL */
        size_t filter_size;
        /* Reports a failure after the launcher has exited. */
        void (*last_words)(const char *text);
} Child;

/* The steps of the hand-over: each is a message of one byte on the channel. PROGRAM_TERMINAL, with a
 * terminal for the registry, may come before the child is ready. */
enum {
        CHILD_MAY_ENTER = 'E',  /* to the child: IDs are mapped, and the tree is here (a descriptor) */
        CHILD_IS_READY = 'R',   /* to the launcher: only execve() is left to do */
        CHILD_MAY_EXEC = 'X',   /* to the child: systemd knows the new main process */
        CHILD_HAS_FAILED = 'F', /* to the launcher, at any earlier time: an exit status and a text follow */
};
#define CHILD_MESSAGE_MAX 1024U

/* Runs the child, and does not return. A failure ends the process, and is sent to the launcher. */
_Noreturn void child_main(const Child *child);

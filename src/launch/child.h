/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* The first process of a container, between its birth and the program that it becomes. Everything it needs
 * from the host it was born with, as descriptors. */
typedef struct Child {
        const Plan *plan;
        ConsoleMode console;
        int channel_fd;  /* to the launcher: one byte each way a step */
        int launcher_fd; /* pidfd of the launcher */
        int control_fd;  /* cgroup.subtree_control of the unit */
        const char *controllers;
        const void *filter; /* seccomp programs, or NULL */
        size_t filter_size;
        /* Says what goes wrong when the launcher does not wait for it any more. */
        void (*last_words)(const char *text);
} Child;

/* The steps of the hand-over, as the messages that go over the channel: a byte each. PROGRAM_TERMINAL with a
 * terminal for the registry may come before the child is ready. */
enum {
        CHILD_MAY_ENTER = 'E',  /* to the child: ids are mapped, here is the tree (a descriptor) */
        CHILD_IS_READY = 'R',   /* from it: inside, nothing left to do but execve() */
        CHILD_MAY_EXEC = 'X',   /* to it: systemd knows you */
        CHILD_HAS_FAILED = 'F', /* from it, at any time before: an exit status and a text follow */
};
#define CHILD_MESSAGE_MAX 1024U

/* Does not return. What fails ends the process, and is sent to the launcher. */
_Noreturn void child_main(const Child *child);

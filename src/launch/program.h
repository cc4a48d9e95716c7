/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/passwd.h"
#include "spec/enter.h"
#include "spec/spec.h"

/* The last steps of a process of mctl before it executes a program of a machine. The process is in the
 * machine, with the machine's tree as its root. A failure has a text, as in basic/failure.h. */

/* Executes a copy of this program that cannot be changed, if root inside is the host's root. Returns if
 * there is no need, or with an error. */
int program_seal(const Spec *spec, char *argv[]);

/* Makes a session key ring, so that the key ring of the caller is out of reach. Called as the host's root:
 * root inside may have used up the quota of keys. */
int program_join_keyring(void);

/* Makes a terminal in the devpts of the machine, which becomes the standard streams. The master is sent over
 * a socket with the byte PROGRAM_TERMINAL. From then on, messages appear on the terminal. The terminal
 * controls a program, but not an init. */
#define PROGRAM_TERMINAL 'T'
int program_open_terminal(int socket_fd, bool controlling, char **ret_error);

/* If root inside is the host's root, root inside owns the host's /dev/null, and could change it. Standard
 * streams that are the host's /dev/null are replaced by that of the machine. */
int program_replace_null(char **ret_error);

/* Resets ignored and blocked signals, which a program inherits. systemd makes its services ignore SIGPIPE
 * (IgnoreSIGPIPE=). */
void program_reset_signals(void);

/* Changes to the user of a spec, its directory and its environment. */
int program_become(const Spec *spec, uint64_t capabilities, Person *person, Strv *environment,
                   char **ret_error);

/* Changes the directory without following magic links of procfs: /proc/self/fd would lead to descriptors
 * that are still open. */
int program_enter_directory(const char *path);

/* Finds a program, in $PATH of the machine if the name has no slash. -EACCES for a file that must not be
 * executed. The caller frees the path. */
int program_find(const char *name, const Strv environment, char **ret);

/* Logs why the program could not be executed, and returns the exit status for the reason. */
int program_failed(const char *name, int error, char **ret_error);

typedef struct Program {
        const char *path;
        char **argv, **environment;
        const Person *person;
        uint64_t capabilities, ambient;
        const void *filter; /* seccomp programs, or NULL */
        size_t filter_size;
        int status_on_failure; /* the exit status if the program cannot be executed */
        /* Reports why the program could not be executed, if no process waits for an answer. */
        void (*last_words)(const char *text);
} Program;

/* Closes the last connections to the host, and executes the program. */
_Noreturn void program_execute(const Program *program);

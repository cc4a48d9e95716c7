/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/passwd.h"
#include "spec/enter.h"
#include "spec/spec.h"

/* The last steps of a process of ours before it becomes a program of a machine: from inside, with the
 * machine's tree as its root. Failures have a text, as basic/failure.h has them. */

/* Runs this very program from a copy that cannot be changed, where root inside is the host's root; it
 * returns only where there is no need, or an error. */
int program_seal(const Spec *spec, char *argv[]);

/* A session key ring of its own, so that the caller's is out of reach. While we are the host's root: inside,
 * somebody could have used the quota up. */
int program_join_keyring(void);

/* Makes a terminal of the machine's own, which becomes our standard streams; the master goes over a socket,
 * with the byte PROGRAM_TERMINAL. What is said from here on is seen there. A program has it for its
 * controlling terminal; an init has none. */
#define PROGRAM_TERMINAL 'T'
int program_open_terminal(int socket_fd, bool controlling, char **ret_error);

/* Whoever is root on the host, too, owns the host's /dev/null, and could change it: standard streams that
 * are that become the machine's own. */
int program_replace_null(char **ret_error);

/* A program starts with what its maker ignored and blocked, and systemd has us ignore SIGPIPE
 * (IgnoreSIGPIPE=). */
void program_reset_signals(void);

/* Becomes the user of a spec, in its directory, with its environment. */
int program_become(const Spec *spec, uint64_t capabilities, Person *person, Strv *environment,
                   char **ret_error);

/* Without following what procfs calls a link: /proc/self/fd would lead to whatever is open yet. */
int program_enter_directory(const char *path);

/* Finds a program, in $PATH of the machine where it has no slash. -EACCES for one that is not to be
 * executed. The caller frees it. */
int program_find(const char *name, const Strv environment, char **ret);

/* Says why it is not executed, and returns the exit status for that. */
int program_failed(const char *name, int error, char **ret_error);

typedef struct Program {
        const char *path;
        char **argv, **environment;
        const Person *person;
        uint64_t capabilities, ambient;
        const void *filter; /* seccomp programs, or NULL */
        size_t filter_size;
        int status_on_failure; /* to exit with where it is not becoming one that fails */
        /* Says why the process ends without having become the program, when nobody waits for an answer. */
        void (*last_words)(const char *text);
} Program;

/* Closes the last doors to the host, and becomes it. */
_Noreturn void program_execute(const Program *program);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* The seccomp filter of a machine. Compiling one takes longer than all else of a start, so programs are
 * compiled once: those of the profiles when mctl is built, others when they are first needed, by a helper
 * that links libseccomp. */

/* The name of the program for this spec: "default-boot" and its like for what is shipped, "custom-…" for
 * others. NULL where there is to be none. -ENOMEM only. */
int filter_name(const Spec *spec, uint64_t capabilities, char **ret);

/* Reads the program from where it was installed or cached; has it compiled where it is in neither. It is an
 * array of struct sock_filter, which the caller frees. -EINVAL, with a text as basic/failure.h has them, for
 * words that the compiler does not know. */
int filter_read(const Scope *scope, const Spec *spec, uint64_t capabilities, const char *name,
                void **ret_program, size_t *ret_size, char **ret_error);

/* Puts this process and what it starts under the programs. Needs CAP_SYS_ADMIN, or no-new-privileges. `size`
 * counts bytes; several programs are separated by filter_separator. */
int filter_load(const void *program, size_t size);

/* Puts this process under a program that was installed with mctl, such as "registryd". From then on, no
 * program that this process executes gains privileges. A negative errno, also where the program is not
 * installed. */
int filter_load_shipped(const char *name);

/* The arguments of the helper for a spec: what the program depends on. */
int filter_arguments(const Spec *spec, uint64_t capabilities, Strv *ret);

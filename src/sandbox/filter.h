/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* The seccomp filter of a machine. To compile a filter takes longer than all other steps of a start, so each
 * program is compiled once. The build of mctl compiles the programs of the profiles. A helper that links
 * libseccomp compiles other programs when they are first needed. */

/* Returns the name of the program for a spec: "default-boot" and the like for a program that is installed
 * with mctl, "custom-…" for another program, NULL for no program. -ENOMEM only. */
int filter_name(const Spec *spec, uint64_t capabilities, char **ret);

/* Reads a program that was installed or cached. If the program is neither installed nor cached, the helper
 * compiles it. The program is an array of struct sock_filter, which the caller frees. -EINVAL, with a text
 * as in basic/failure.h, for words that the compiler does not know. */
int filter_read(const Scope *scope, const Spec *spec, uint64_t capabilities, const char *name,
                void **ret_program, size_t *ret_size, char **ret_error);

/* Loads the programs for this process and its children. Needs CAP_SYS_ADMIN, or no-new-privileges. `size`
 * counts bytes. An instruction of zeros separates programs. */
int filter_load(const void *program, size_t size);

/* Loads a program that was installed with mctl, such as "registryd", for this process. From then on, no
 * program that this process executes gains privileges. A negative errno, also if the program is not
 * installed. */
int filter_load_shipped(const char *name);

/* Makes the arguments of the helper for a spec. The program depends on these arguments only. */
int filter_arguments(const Spec *spec, uint64_t capabilities, Strv *ret);

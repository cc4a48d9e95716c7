/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "spec/spec.h"

/* What only one machine at a time can have: a range of user ids, the right to write to an image. A claim is a file
 * below /run/mctl that names its holder by the directory of that machine ("machines/web"). It counts as long as the
 * record there says the same; so whatever is killed whenever, no claim outlives its machine.
 *
 * To be called with the runtime directory locked, but for claim_look() by who only wants to know. */

#define CLAIM_MAX 64U

/* The path of the claim on a range. */
void claim_users_path(uid_t base, char ret[static CLAIM_MAX]);

/* Returns 1 where the claim is the holder's, 0 where it is nobody's, and -EBUSY where it is another's, whose directory
 * is stored in ret_other, which the caller frees. */
int claim_look(int run_fd, const char *path, const char *holder, char **ret_other);

/* Whether some machine writes to the image of that number: 1, and its name, which the caller frees. Under the lock. */
int claim_find_writer(int run_fd, const struct stat *image, char **ret_machine);

/* Whether a machine writes to its image. */
bool claim_writes_image(const Spec *spec);

/* The same for the image of a machine, whose directory is `root`, and the path of the claim; "" where the machine does
 * not write to its image. The error that the caller frees is set where there is a text for the user. */
int claim_look_image(int run_fd, const Spec *spec, const char *root, const char *holder,
                     char ret_path[static CLAIM_MAX], char **ret_error);

/* Writes the claim, whoever had it. */
int claim_take(int run_fd, const char *path, const char *holder);

/* Gives back what is claimed by machines that are gone. Takes the lock itself, or returns -EWOULDBLOCK. */
int claim_sweep(int run_fd);

/* Gives a claim back. What is not the holder's stays, and is no error. */
int claim_release(int run_fd, const char *path, const char *holder);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "spec/spec.h"

/* A claim is a right that only one machine at a time has: to a range of user IDs, or to write to an image. A
 * claim is a file below /run/mctl with the directory of its holder ("machines/web"). A claim is valid only
 * while the record in that directory names the claim as well, so no claim outlives its machine, even if
 * processes are killed.
 *
 * Callers hold the lock of the runtime directory. For information only, claim_look() works without the
 * lock. */

#define CLAIM_MAX 64U

/* Writes the path of the claim to a range of user IDs. */
void claim_users_path(uid_t base, char ret[static CLAIM_MAX]);

/* Returns 1 if `holder` has the claim, 0 if it is free, and -EBUSY if another machine has it. ret_other (may
 * be NULL) is then the directory of that machine, which the caller frees. */
int claim_look(int run_fd, const char *path, const char *holder, char **ret_other);

/* Returns 1 if a machine writes to an image, and the name of the machine, which the caller frees; else 0.
 * Called with the lock held. */
int claim_find_writer(int run_fd, const struct stat *image, char **ret_machine);

/* Whether a machine with this spec writes to its image. */
bool claim_writes_image(const Spec *spec);

/* claim_look() for the image of a machine. `root` is the path of the image. ret_path is the path of the
 * claim, or "" if the machine does not write to its image. For -EBUSY, ret_error is a text for the user,
 * which the caller frees. */
int claim_look_image(int run_fd, const Spec *spec, const char *root, const char *holder,
                     char ret_path[static CLAIM_MAX], char **ret_error);

/* Writes the claim, even if another machine has it. */
int claim_take(int run_fd, const char *path, const char *holder);

/* Removes the claims of machines that are gone. Takes the lock itself. -EWOULDBLOCK if the lock is taken. */
int claim_sweep(int run_fd);

/* Releases a claim. If another machine has it, the claim stays, without an error. */
int claim_release(int run_fd, const char *path, const char *holder);

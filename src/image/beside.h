/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Files that stand beside an image and belong to it by their names, which are systemd's: NAME.nspawn, settings; and what a disk has to be:
 * NAME.roothash and NAME.usrhash, root hashes (dm-verity) in hexadecimal, NAME.roothash.p7s and NAME.usrhash.p7s, signatures of these in DER, and
 * NAME.verity, the hashes of a disk that has no partitions. `dir_fd` is of the directory, `name` that of the image. */

#define ROOT_HASH_LENGTH 128U

/* --- what is in them ------------------------------------------------------------------------------------------------ */

/* Reads a root hash, of the `kind` "roothash" or "usrhash", in lower case. Returns 0 where there is none, -EUCLEAN where the file has something else. */
int beside_read_hash(int dir_fd, const char *name, const char *kind, char ret[static ROOT_HASH_LENGTH + 1]);

/* Reads the signature of a root hash, which the caller frees. Returns 0 where there is none. */
int beside_read_signature(int dir_fd, const char *name, const char *kind, char **ret, size_t *ret_size);

/* Opens the hashes. -ENOENT where there are none. */
int beside_open_hashes(int dir_fd, const char *name);

/* --- where they go -------------------------------------------------------------------------------------------------- */

/* Some of them, a bit for each. */
typedef unsigned Beside;
#define BESIDE_SETTINGS 1U
#define BESIDE_ALL      63U

/* Whether a file is called like one. */
bool beside_is(const char *file);

/* Makes these of an image those of another name as well: copies, which are on disk then, or links. What is there already was made
 * for that name, and stays. `ret` has those that are new, after an error, too. */
int beside_copy(int dir_fd, const char *name, const char *new_name, Beside which, Beside *ret);
int beside_link(int dir_fd, const char *name, const char *new_name, Beside which, Beside *ret);

/* Removes these of an image. */
void beside_remove(int dir_fd, const char *name, Beside which);

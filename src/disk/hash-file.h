/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/root-hash.h"

/* Files beside a disk that tell how to verify it. Their names are those of systemd. NAME.roothash and
 * NAME.usrhash have root hashes in hexadecimal. NAME.roothash.p7s and NAME.usrhash.p7s have signatures of
 * these root hashes in DER. NAME.verity has the hashes of a disk without partitions. `dir_fd` is the
 * directory, `name` the name of the image. */

/* Reads a root hash of the `kind` "roothash" or "usrhash", in lower case. Returns 1, or 0 if there is no
 * such file. -EUCLEAN if the file has no root hash. */
int hash_file_read(int dir_fd, const char *name, const char *kind, char ret[static ROOT_HASH_LENGTH + 1]);

/* Reads the signature of a root hash, which the caller frees. Returns 1, or 0 if there is no such file. */
int hash_file_read_signature(int dir_fd, const char *name, const char *kind, char **ret, size_t *ret_size);

/* Opens the file with the hashes. -ENOENT if there is none, -EUCLEAN if the file is not regular. */
int hash_file_open_tree(int dir_fd, const char *name);

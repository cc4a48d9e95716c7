/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Files beside an image that belong to it by their names, as systemd defines them. `dir_fd` is the directory
 * of the image, `name` the name of the image.
 *
 * - NAME.nspawn: settings
 * - NAME.roothash, NAME.usrhash: root hashes (dm-verity) of a disk, in hexadecimal
 * - NAME.roothash.p7s, NAME.usrhash.p7s: signatures of root hashes, in DER
 * - NAME.verity: the hash tree of a disk without partitions */

/* A set of these files, a bit for each suffix. */
typedef unsigned Beside;
#define BESIDE_SETTINGS 1U
#define BESIDE_ALL      63U

/* Whether the name of a file ends in one of the suffixes. */
bool beside_is(const char *file);

/* Gives these files of an image to a second name, as copies or as hard links. Copies are synced. Existing
 * files of the new name are not changed. `ret` is the set of new files, and is set after an error, too. */
int beside_copy(int dir_fd, const char *name, const char *new_name, Beside which, Beside *ret);
int beside_link(int dir_fd, const char *name, const char *new_name, Beside which, Beside *ret);

/* Removes these files of an image. */
void beside_remove(int dir_fd, const char *name, Beside which);

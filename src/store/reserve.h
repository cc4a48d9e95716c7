/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reserved space of a store. An operation that frees space needs some itself, for a new manifest and for the
 * directories of a new layer. */

/* Reserves the space, unless it is reserved already or the file system is full. */
void reserve_keep(int store_fd);

/* Frees the reserved space, and waits until it is free on disk. -ENOENT if the space has been used, and no
 * program has opened the store since with enough free space. */
int reserve_use(const char *store);

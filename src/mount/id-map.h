/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* ID maps of users and of groups, which are always the same map (user_namespaces(7)). */

/* Maps `size` IDs from `inside`, in the user namespace of a process, to IDs from `outside`, in the caller's
 * user namespace. */
int id_map_write(pid_t pid, uid_t inside, uid_t outside, uid_t size);

/* Makes a user namespace with this map, for ID-mapped mounts: `inside` is then the owner of files on disk.
 * Returns a descriptor, which keeps the namespace alive. */
int id_map_make(uid_t inside, uid_t outside, uid_t size);

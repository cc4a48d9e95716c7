/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* Ranges of user IDs for machines, in the range that systemd reserves for containers (systemd.io/UIDS-GIDS).
 * A machine claims its range (see claim.h). */

#define USERS_CONTAINER_MIN 0x00080000U
#define USERS_CONTAINER_MAX 0x6FFF0000U

/* Proposes a range for `holder`, each time the same if the range is free: not claimed by another machine,
 * and without users and groups in NSS. Called without the lock, since NSS can take long. A caller that then
 * finds the range claimed asks again with the next `attempt`; the first is 0. -EBUSY if no range is free. */
int users_propose_range(const Scope *scope, int run_fd, const char *holder, unsigned *attempt,
                        uid_t *ret_base);

/* Returns the user who makes the user namespace of a machine. The kernel counts inotify instances, pending
 * signals, queues and namespaces (user.max_*, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE) for the maker of a user
 * namespace as well. So the maker is the root of the machine. If this root is the host's root, the maker is
 * an unused user ID that is derived from the name of the machine. */
uid_t users_namespace_owner(const Scope *scope, const Spec *spec);

/* Whether root inside is the host's root. A range that is picked later never begins with 0. */
static inline bool users_root_is_host(const PrivateUsers *users)
{
        return users->mode != USERS_PICK && (users->mode != USERS_EXPLICIT || users->base == 0);
}

/* Returns the user ID on the host of root inside. */
static inline uid_t users_root(const PrivateUsers *users)
{
        return users->mode == USERS_PICK || users->mode == USERS_EXPLICIT ? users->base : 0;
}

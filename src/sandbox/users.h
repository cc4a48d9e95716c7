/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* Ranges of user ids for machines, in the range that systemd reserves for containers (systemd.io/UIDS-GIDS),
 * each claimed by its machine (see claim.h). */

#define USERS_CONTAINER_MIN 0x00080000U
#define USERS_CONTAINER_MAX 0x6FFF0000U

/* Proposes a range for `holder`, the same each time where that is free: not claimed by another, and unknown
 * to NSS as users and groups. To be called without the lock, since NSS may take its time; whoever then finds
 * it claimed asks again with the same `attempt`, which begins with 0. -EBUSY when nothing is free. */
int users_propose_range(const Scope *scope, int run_fd, const char *holder, unsigned *attempt,
                        uid_t *ret_base);

/* Who makes the user namespace of a machine. The kernel counts inotify instances, pending signals, queues
 * and namespaces (user.max_*, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE) for the maker of a user namespace as well:
 * so the maker is the root of the machine, and where that is the host's root, a user id which belongs to
 * nobody and is derived from the machine's name. */
uid_t users_namespace_owner(const Scope *scope, const Spec *spec);

/* Whether root inside is the host's root. A range that is still to be picked never begins with 0. */
static inline bool users_root_is_host(const PrivateUsers *users)
{
        return users->mode != USERS_PICK && (users->mode != USERS_EXPLICIT || users->base == 0);
}

/* The user id on the host that is root inside. */
static inline uid_t users_root(const PrivateUsers *users)
{
        return users->mode == USERS_PICK || users->mode == USERS_EXPLICIT ? users->base : 0;
}

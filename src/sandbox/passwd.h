/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/macro.h"

/* The user of a process in a container. No code of the container is run or loaded: /etc/passwd and
 * /etc/group of the tree are read as text, with a limit of their size. */
typedef struct Person {
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* supplementary groups, with the primary group */
        size_t n_groups;
        char *name, *home, *shell; /* name is NULL for a number that passwd does not have */
} Person;

void person_clear(Person *person);
#define _cleanup_person_ _cleanup_(person_clear)

/* Finds a user by name or number. -ESRCH for an unknown name; a number needs no entry. */
int person_find(int root_fd, const char *user, Person *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/macro.h"

/* Who a process in a container is. Nothing of the container runs or is loaded to find that out: /etc/passwd
 * and /etc/group of its tree are read, bounded, as the text that they are. */
typedef struct Person {
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* supplementary ones, the primary included */
        size_t n_groups;
        char *name, *home, *shell; /* name is NULL where passwd has no entry */
} Person;

void person_clear(Person *person);
#define _cleanup_person_ _cleanup_(person_clear)

/* Finds a user by name or number. -ESRCH when there is none of that name; a number needs no entry. */
int person_find(int root_fd, const char *user, Person *ret);

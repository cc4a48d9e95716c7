/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* The names of operating systems that no record has: of machines of others, and of those that an older
 * release has started. A child reads them inside, so nobody waits for a file system. */

/* Reads them from now on; the observer is the caller's, and is filled in. */
void os_names_observe(Manager *manager, Observer *observer);

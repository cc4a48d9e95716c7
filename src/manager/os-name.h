/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* Names of operating systems that no record has: of machines that other programs registered, and of machines
 * that an older release started. A child reads them in the machine, so the event loop does not wait for a
 * file system. */

/* Begins to read names. Fills in the observer, which stays the caller's. */
void os_names_observe(Manager *manager, Observer *observer);

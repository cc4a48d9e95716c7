/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* The files of the provider of org.freedesktop.machine1 below /run/systemd/machines, which other programs
 * watch and read. */

/* Begins to write and remove the files of machines. Fills in the observer, which stays the caller's. */
void state_files_observe(Manager *manager, Observer *observer);

/* Adds the machines that other programs had registered with an earlier registry. Errors have been logged. */
int state_files_load(Manager *manager);

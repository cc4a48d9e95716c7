/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* The files of a provider of org.freedesktop.machine1 below /run/systemd/machines, which readers watch and
 * read without asking anybody. */

/* Writes and removes the files of machines from now on; the observer is the caller's, and is filled in. */
void state_files_observe(Manager *manager, Observer *observer);

/* Adds the machines that others registered before we were started anew. Errors have been logged. */
int state_files_load(Manager *manager);

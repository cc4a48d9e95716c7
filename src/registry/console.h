/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* The other sides of the terminals of machines (Console=pty), which their launchers send us. What is said on one goes to the log
 * of its unit, to the last 64 KB that are kept for who comes later, and to whoever is attached: readers, and one that writes.
 * Descriptors and what was said are in systemd's store, so a crash of ours loses nothing. A reader that is too slow misses what
 * it did not read in time; the machine waits for nobody. */

/* Takes over what systemd has kept for us, and listens for more. To be called before the first listing of units. */
int consoles_setup(Registry *registry);
void consoles_free(Registry *registry);

/* To be called after each listing: a console ends with its machine, and who waits for one that does not come is told. */
void consoles_refreshed(Registry *registry);

/* Method of operation tables: OpenConsole(s name, t flags) → (h fd, b writes, t backlog). Flags: 1 to read only, 2 to get what was said so
 * far and no more, 4 to get only what comes. */
int console_open(Registry *registry, Machine *machine, sd_bus_message *call);

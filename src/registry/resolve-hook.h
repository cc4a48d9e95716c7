/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "registry/registry.h"

/* io.systemd.Resolve.Hook: systemd-resolved (259 and newer) asks us for the names of machines before it asks the network. A machine
 * that has a network of its own owns its name, and all below it. */

/* Opens its socket, where the provider is us; and closes it. */
int resolve_hook_setup(Registry *registry);
void resolve_hook_free(Registry *registry);

/* The names are others now. */
void resolve_hook_tell(Registry *registry);

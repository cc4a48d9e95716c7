/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Connects to the message bus at an address, or to the system bus if the address is NULL. The caller closes
 * the bus. */
int bus_open(const char *address, sd_bus **ret);

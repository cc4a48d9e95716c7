/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/bus.h"

/* org.freedesktop.machine1(5): the registry that all clients of systemd know, if this process is its
 * provider. Machines that other programs register (systemd-nspawn, libvirt) are machines of the manager,
 * too. */

#define MACHINE1_NAME     "org.freedesktop.machine1"
#define MACHINE1_PATH     "/org/freedesktop/machine1"
#define MACHINE1_MANAGER  "org.freedesktop.machine1.Manager"
#define MACHINE1_MACHINE  "org.freedesktop.machine1.Machine"
#define MACHINE1_MACHINES "/org/freedesktop/machine1/machine"
#define MACHINE1_IMAGE    "org.freedesktop.machine1.Image"
#define MACHINE1_IMAGES   "/org/freedesktop/machine1/image"

typedef struct Machine1 {
        BusDoor door;
        Observer observer;
} Machine1;

/* Makes the objects. Signals are sent after machine1_tell() has been called. The caller requests the bus
 * name. */
int machine1_add(Machine1 *machine1, Manager *manager, sd_bus *bus);
void machine1_tell(Machine1 *machine1);
void machine1_clear(Machine1 *machine1);

/* For tests: the rows of all methods. */
extern const BusMethod machine1_methods[];

/* image1.c: objects of images. A child reads their properties, so the event loop waits for no file system.
 */
int image1_add(BusDoor *door, const BusMethod *methods);

/* Append an entry of ListImages(), and the object path of an image. */
int image1_append_list(const BusCall *call, sd_bus_message *reply, const void *answer);
int image1_append_path(const BusCall *call, sd_bus_message *reply, const void *answer);

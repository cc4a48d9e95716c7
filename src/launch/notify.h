/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/macro.h"

/* The notification socket of a machine (sd_notify(3)). It is not the socket of the service manager, so a
 * machine that floods it delays only its own messages. The registry reads the socket
 * (manager/notification.h). While the unit exists, the service manager keeps the socket in the unit's store
 * of descriptors, so messages wait while no registry runs. */

/* Makes the socket as the file "notify" in the runtime directory of a machine, with this owner and mode
 * 0600. Returns the descriptor, and the inode number of the socket in procfs. */
int notify_make(int machine_fd, uid_t owner, ino_t *ret_inode);

/* Puts a descriptor into the unit's store under this name, and removes one of the same name that the
 * previous start of the unit has left. */
int notify_keep(const char *name, int fd);

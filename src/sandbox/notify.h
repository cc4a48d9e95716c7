/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Two datagram protocols of systemd, implemented without libsystemd, since the launcher must start fast. */

/* Sends a message to the service manager (sd_notify(3)). With `barrier`, also waits until the manager has
 * read all messages. Returns 0 if there is no manager to notify. */
int notify_manager(const char *message, bool barrier);

/* Sends a message with a descriptor, without a barrier. */
int notify_manager_fd(const char *message, int fd);

/* Writes an entry to the journal in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). Each line is
 * FIELD=value; values have no line breaks. */
int journal_send(const char *lines);

/* Asks the journal to finish reading its queue (varlink, io.systemd.Journal), so that the messages can be
 * seen, and are attributed to processes that still run. A caller without permission does not wait. */
void journal_sync(void);

/* The MESSAGE_ID= of the start and the end of a machine. systemd-machined uses the same IDs. */
#define MESSAGE_ID_MACHINE_START "24d8d4452573402496068381a6312df2"
#define MESSAGE_ID_MACHINE_STOP  "58432bd3bace477cb514b56381b8a758"

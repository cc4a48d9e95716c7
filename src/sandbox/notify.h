/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Two datagram protocols of systemd, spoken without its library: the launcher must start fast. */

/* Sends a message to the service manager (sd_notify(3)). With `barrier`, also waits until everything that
 * was sent has been read. Returns 0 where there is no manager to notify. */
int notify_manager(const char *message, bool barrier);

/* The same with a descriptor, without a barrier. */
int notify_manager_fd(const char *message, int fd);

/* Writes an entry to the journal in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). Each line is
 * FIELD=value; values have no line breaks. */
int journal_send(const char *lines);

/* Has the journal finish with what was sent to it (varlink, io.systemd.Journal), so that it is seen, and is
 * attributed to processes that are there still. Whoever may not ask does without. */
void journal_sync(void);

/* The MESSAGE_ID= of a machine's start and end, which systemd-machined uses as well. */
#define MESSAGE_ID_MACHINE_START "24d8d4452573402496068381a6312df2"
#define MESSAGE_ID_MACHINE_STOP  "58432bd3bace477cb514b56381b8a758"

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Confines the registry: makes its view of all file systems read-only, except for the directories in the
 * colon-separated list `writable` (NULL: the view does not change), and loads the system call filter
 * "registryd". The settings of a unit would have the same effect, but systemd would need more processor time
 * for them than the registry needs for its start. A negative errno; then the registry must not continue. */
int confine(const char *writable);

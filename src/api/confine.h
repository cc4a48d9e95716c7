/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Confines the registry: to a read-only view of all file systems but for the directories that are in the
 * colon-separated `writable` (NULL: the view stays as it is), and to the system call filter "registryd". The
 * settings of a unit do the same, but systemd needs more processor time for these settings than the registry
 * for all else. A negative errno; then the registry must not go on. */
int confine(const char *writable);

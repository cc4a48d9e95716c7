/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The identity of a machine, which no two machines may share: its ID (machine-id(5)), its random seed
 * (systemd-random-seed(8)), its credential secret (systemd-creds(1)), and the host keys of its ssh server.
 *
 * Removes the identity from a tree that nobody else changes. The next boot makes a new ID. New host keys are
 * made at once, of the types that the tree had. */
int identity_forget(int root_fd);

/* Copies the part of the identity that others know (ID, host name, ssh host keys) from the old tree of a
 * machine to its new tree. Nobody else may change the new tree. */
int identity_carry(int from_fd, int to_fd);

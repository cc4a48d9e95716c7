/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What makes a machine that machine, and must not be two's: its ID (machine-id(5)), which is made anew at the first boot, what it keeps of
 * its random numbers and credentials (systemd-random-seed(8), systemd-creds(1)), and the keys of its ssh server, which are made anew at once.
 *
 * Forgets it in a tree that nobody else changes. */
int identity_forget(int root_fd);

/* Copies who a machine is to those who know it, its ID, host name and ssh host keys, from its old tree to its new one, which nobody else changes. */
int identity_carry(int from_fd, int to_fd);

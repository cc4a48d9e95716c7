/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keys of an ssh server (sshd(8)), in its directory.
 *
 * host_keys_remove() removes all, and certificates, and returns a mask of their types; host_keys_make() makes new ones of these, as ssh-keygen(1) makes
 * them without being asked. Of types other than rsa, ecdsa and ed25519 there are no new ones. */
int host_keys_remove(int dir_fd);
int host_keys_make(int dir_fd, int mask);

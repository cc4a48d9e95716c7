/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Makes new keys of an ssh server (sshd(8)), in the place of those that are in its directory: of the same types, rsa, ecdsa and ed25519, as
 * ssh-keygen(1) makes them without being asked. Keys of other types, and certificates, are removed. With `make` false, all are. */
int host_keys_renew(int dir_fd, bool make);

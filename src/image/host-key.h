/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* The keys of an ssh server (sshd(8)), in its directory. */

#define HOST_KEY_PREFIX "ssh_host_"

/* Those that there are new ones of, by their bits in a mask. */
#define HOST_KEY_TYPES "rsa", "ecdsa", "ed25519"

/* A module, which has OpenSSL: most images have no such keys, and loading that would take longer than cloning one. */
#define HOST_KEY_MODULE LIBEXECDIR "/mctl-host-key.so"

/* By this name: makes new ones, as ssh-keygen(1) makes them without being asked. */
extern _public_ int host_keys_make(int dir_fd, int mask);

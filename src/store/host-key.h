/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* The host keys of an ssh server (sshd(8)), in its directory. */

#define HOST_KEY_PREFIX "ssh_host_"

/* The types that host_keys_make() knows. The index of a type is the number of its bit in `mask`. */
#define HOST_KEY_TYPES "rsa", "ecdsa", "ed25519"

/* host_keys_make() is in a module, because it needs OpenSSL. Most images have no host keys, and loading
 * OpenSSL takes longer than cloning an image. */
#define HOST_KEY_MODULE LIBEXECDIR "/mctl-host-key.so"

/* The symbol of the module. Writes new keys of the types in `mask` to the directory, with the parameters
 * that are the defaults of ssh-keygen(1). */
extern _public_ int host_keys_make(int dir_fd, int mask);

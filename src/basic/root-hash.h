/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* Root hashes of dm-verity in hexadecimal, of SHA-256 up to SHA-512: at most 128 digits. */
#define ROOT_HASH_LENGTH 128U

/* Whether a text is a root hash, in upper or lower case. */
bool root_hash_is_hex(const char *text) _pure_;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "macro.h"

/* SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein: "SipHash: a fast short-input PRF") with a result of 64 bits.
 * For values that are derived from a name, such as ranges of IDs and link addresses: they are stable and
 * spread evenly. */
uint64_t siphash24(const void *data, size_t size, const uint8_t key[16]) _pure_;

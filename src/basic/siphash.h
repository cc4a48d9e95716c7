/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "macro.h"

/* SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein: "SipHash: a fast short-input PRF"), 64 bits. For choices that are
 * to be stable by name and spread evenly: ranges of ids, link addresses. */
uint64_t siphash24(const void *data, size_t size, const uint8_t key[16]) _pure_;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <string.h>

#include "basic/siphash.h"

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
        return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
        while (rounds-- > 0) {
                v[0] += v[1];
                v[2] += v[3];
                v[1] = rotate_left(v[1], 13) ^ v[0];
                v[3] = rotate_left(v[3], 16) ^ v[2];
                v[0] = rotate_left(v[0], 32);
                v[2] += v[1];
                v[0] += v[3];
                v[1] = rotate_left(v[1], 17) ^ v[2];
                v[3] = rotate_left(v[3], 21) ^ v[0];
                v[2] = rotate_left(v[2], 32);
        }
}

static uint64_t load_le64(const uint8_t *p)
{
        uint64_t x;
        memcpy(&x, p, sizeof(x));
        return le64toh(x);
}

uint64_t siphash24(const void *data, size_t size, const uint8_t key[16])
{
        const uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
        uint64_t v[4] = {
                k0 ^ UINT64_C(0x736f6d6570736575),
                k1 ^ UINT64_C(0x646f72616e646f6d),
                k0 ^ UINT64_C(0x6c7967656e657261),
                k1 ^ UINT64_C(0x7465646279746573),
        };
        const uint8_t *p = data;
        uint8_t tail[8] = {};

        for (size_t left = size; left >= 8; left -= 8, p += 8) {
                uint64_t m = load_le64(p);
                v[3] ^= m;
                sip_rounds(v, 2);
                v[0] ^= m;
        }

        memcpy(tail, p, size % 8);
        tail[7] = (uint8_t) size;
        uint64_t m = load_le64(tail);
        v[3] ^= m;
        sip_rounds(v, 2);
        v[0] ^= m;

        v[2] ^= 0xff;
        sip_rounds(v, 4);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

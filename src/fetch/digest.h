/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* SHA-256 as lower-case hexadecimal. */

#define DIGEST_LENGTH 64U

typedef struct Digest Digest;

/* digest_begin() returns -ENOMEM or 0. The caller frees the digest, before or after digest_end(). NULL is
 * ignored. */
int digest_begin(Digest **ret);
void digest_add(Digest *digest, const void *data, size_t n);
int digest_end(Digest *digest, char ret[static DIGEST_LENGTH + 1]);
void digest_free(Digest *digest);

static inline void digest_freep(Digest **digest)
{
        digest_free(*digest);
}
#define _cleanup_digest_ _cleanup_(digest_freep)

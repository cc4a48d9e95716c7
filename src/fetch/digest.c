/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "basic/macro.h"

struct Digest {
        EVP_MD_CTX *context;
};

int digest_begin(Digest **ret)
{
        Digest *digest = malloc(sizeof(*digest));

        OOM_CHECK(digest);
        digest->context = EVP_MD_CTX_new();
        if (!digest->context || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
                digest_free(digest);
                return -ENOMEM;
        }
        *ret = digest;
        return 0;
}

void digest_add(Digest *digest, const void *data, size_t n)
{
        (void) EVP_DigestUpdate(digest->context, data, n);
}

int digest_end(Digest *digest, char ret[static DIGEST_LENGTH + 1])
{
        uint8_t bytes[EVP_MAX_MD_SIZE];

        if (EVP_DigestFinal_ex(digest->context, bytes, NULL) != 1)
                return -EIO;
        for (size_t i = 0; i < DIGEST_LENGTH / 2; i++)
                snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

void digest_free(Digest *digest)
{
        if (digest)
                EVP_MD_CTX_free(digest->context);
        free(digest);
}

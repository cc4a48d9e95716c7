/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"
#include "basic/verify-mode.h"

/* Which keys sign the images of a source, from the files *.trust of a directory. Lines are assignments, and
 * '#' begins a comment:
 *
 *   Source=https://images.example.org/debian/   prefix of URLs; can be repeated
 *   Key=example.pem                             file in the directory, or absolute path; can be repeated
 *   Verify=signature                            or checksum, or no: the default for this source
 *
 * A key is a public key or a certificate in PEM, or a public key of minisign(1). */

/* A directory in the configuration directory of the scope. */
#define TRUST_DIR "trust.d"

typedef struct Trust {
        char *file;       /* the file for the source, NULL if there is none */
        VerifyMode mode;  /* VERIFY_DEFAULT if the file does not set Verify= */
        Strv keys;        /* absolute paths */
        bool at_any_time; /* accept certificates that have expired or are not valid yet */
} Trust;

void trust_clear(Trust *trust);
#define _cleanup_trust_ _cleanup_(trust_clear)

/* Finds the file for a URL: the one with the longest Source= that is a prefix of the URL. If any file is
 * malformed, the result is -EINVAL with a text: a malformed file is not skipped. */
int trust_find(const char *dir, const char *url, Trust *ret, char **ret_error);

/* Kinds of signatures. Each has a suffix, which is appended to the name of the signed file. */
typedef enum SignatureKind {
        /* ".sig", by a key of Ed25519, RSA or ECDSA; the latter two sign the SHA-256 digest */
        SIGNATURE_PLAIN,
        SIGNATURE_CMS,      /* ".p7s", detached CMS (RFC 5652), by the owner of a certificate */
        SIGNATURE_MINISIGN, /* ".minisig" */
        _SIGNATURE_KIND_MAX,
} SignatureKind;

extern const char *const signature_suffixes[_SIGNATURE_KIND_MAX];

/* For SIGNATURE_PLAIN. signature_digest() returns the digest that a key signs, or NULL if the key signs the
 * data themselves. signature_is_of() says whether the key has made the signature of these data. */
struct evp_pkey_st;
const struct evp_md_st *signature_digest(const struct evp_pkey_st *key);
bool signature_is_of(struct evp_pkey_st *key, const void *data, size_t size, const void *signature,
                     size_t signature_size);

/* Whether one of the keys is for this kind of signatures: 1, 0, or a negative errno with a text, which the
 * caller frees. */
int trust_has(const Trust *trust, SignatureKind kind, char **ret_error);

/* Checks that one of the keys has made this signature of the data. Data and signature must be followed by a
 * NUL byte. -EKEYREJECTED if no key matches. Other errors come with a text, which the caller frees. */
int trust_check(const Trust *trust, SignatureKind kind, const void *data, size_t size, const char *signature,
                size_t signature_size, char **ret_error);

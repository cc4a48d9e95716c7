/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/image.h"

/* Whom images are taken from: the files *.trust of a directory, each about sources and their keys. Lines are assignments, and comments
 * begin with '#':
 *
 *   Source=https://images.example.org/debian/   what URLs begin with; may be there several times
 *   Key=example.pem                             in that directory, or an absolute path; may be there several times
 *   Verify=signature                            or checksum, or no: what is done where nobody says otherwise
 *
 * A key is a public key or a certificate in PEM, or a public key of minisign(1). */

#define TRUST_DIR "/etc/mctl/trust.d"

typedef struct Trust {
        char *file;       /* what is known of the source is from there; NULL where nothing is */
        VerifyMode mode;  /* VERIFY_DEFAULT where it does not say */
        Strv keys;        /* absolute paths */
        bool at_any_time; /* certificates count that have expired, or do not hold yet */
} Trust;

void trust_clear(Trust *trust);
#define _cleanup_trust_ _cleanup_(trust_clear)

/* What is known of the source of a URL: of those that it begins with, the longest counts. -EINVAL and a text for a file that is
 * wrong: one that is not understood is not passed over. */
int trust_find(const char *dir, const char *url, Trust *ret, char **ret_error);

/* How the signature of a file may be made, and what is behind the file's name then. */
typedef enum SignatureKind {
        SIGNATURE_PLAIN, /* ".sig": by the key alone, of Ed25519, RSA or ECDSA; the latter two over SHA-256 */
        SIGNATURE_CMS,   /* ".p7s": detached CMS (RFC 5652), by who has a certificate */
        SIGNATURE_MINISIGN, /* ".minisig" */
        _SIGNATURE_KIND_MAX,
} SignatureKind;

extern const char *const signature_suffixes[_SIGNATURE_KIND_MAX];

/* By a key alone (SIGNATURE_PLAIN): what it hashes data with before, NULL for one that does so itself; and whether it has made that signature. */
struct evp_pkey_st;
const struct evp_md_st *signature_digest(const struct evp_pkey_st *key);
bool signature_is_of(struct evp_pkey_st *key, const void *data, size_t size, const void *signature,
                     size_t signature_size);

/* Whether there are keys for signatures of that kind: 1, 0, or a negative errno with a text, which the caller frees. */
int trust_has(const Trust *trust, SignatureKind kind, char **ret_error);

/* Whether one of the keys has made that signature of the data, which have a NUL byte behind them as the signature has. -EKEYREJECTED
 * where none has; else ret_error says what is wrong, which the caller frees. */
int trust_check(const Trust *trust, SignatureKind kind, const void *data, size_t size, const char *signature,
                size_t signature_size, char **ret_error);

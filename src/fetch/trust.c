/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch/trust.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h> /* before cms.h, which then declares more */

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "basic/fd.h"

#define FILE_MAX  (64U * 1024U)
#define FILES_MAX 256U
#define SUFFIX    ".trust"

const char *const signature_suffixes[_SIGNATURE_KIND_MAX] = {
        [SIGNATURE_PLAIN] = ".sig",
        [SIGNATURE_CMS] = ".p7s",
        [SIGNATURE_MINISIGN] = ".minisig",
};

void trust_clear(Trust *trust)
{
        free(trust->file);
        strv_free(trust->keys);
        *trust = (Trust){};
}

/* --- files --------------------------------------------------------------------------------------------- */

static int fail(char **ret_error, const char *file, unsigned line, const char *what)
{
        *ret_error = strf("%s:%u: %s", file, line, what);
        return -EINVAL;
}

/* Returns the value of a line "KEY=VALUE" without trailing white space, or NULL if the line has another
 * key. */
static char *value_of(char *line, const char *key)
{
        char *value = startswith(line, key);

        for (size_t n = value ? strlen(value) : 0; n > 0 && strchr(" \t\r", value[n - 1]); n--)
                value[n - 1] = 0;
        return value;
}

static int add_key(Trust *trust, const char *dir, const char *key)
{
        return key[0] == '/' ? strv_append(&trust->keys, key)
                             : strv_appendf(&trust->keys, "%s/%s", dir, key);
}

/* Whether a URL begins with a source. The source must not end within a host name or be left by "..", also if
 * the dots are encoded. User names are refused, as they can hide the host. */
static bool covers(const char *source, const char *url)
{
        const char *rest = startswith(url, source), *host = strstr(url, "://") + 3;

        return rest &&
               (endswith(source, "/") || *rest == 0 || *rest == '/' ||
                strchr(strstr(source, "://") + 3, '/')) &&
               !strstr(url, "/../") && !endswith(url, "/..") && !memchr(host, '@', strcspn(host, "/?#")) &&
               !strcasestr(url, "%2e");
}

/* Reads a file. ret_length is the length of its longest source that covers the URL, 0 if none does. */
static int read_file(const char *dir, const char *file, char *text, const char *url, Trust *trust,
                     size_t *ret_length, char **ret_error)
{
        unsigned number = 0;
        int r = 0;

        *ret_length = 0;
        for (char *line = text, *next; line && r >= 0; line = next) {
                char *value, *end = strchr(line, '\n');
                next = end ? end + 1 : NULL;
                if (end)
                        *end = 0;
                number++;
                line += strspn(line, " \t\r");
                if (*line == 0 || *line == '#')
                        continue;
                if ((value = value_of(line, "Source="))) {
                        if (!startswith(value, "https://") && !startswith(value, "http://"))
                                return fail(ret_error, file, number,
                                            "Source= takes a URL that begins with https:// or http://");
                        if (covers(value, url))
                                *ret_length = MAX(*ret_length, strlen(value));
                } else if ((value = value_of(line, "Key="))) {
                        if (isempty(value))
                                return fail(ret_error, file, number, "Key= takes the path of a file");
                        r = add_key(trust, dir, value);
                } else if ((value = value_of(line, "Verify="))) {
                        int mode = isempty(value) ? -EINVAL : verify_mode_from_string(value);
                        if (mode < 0)
                                return fail(ret_error, file, number, "Verify= is signature, checksum or no");
                        trust->mode = mode;
                } else
                        return fail(ret_error, file, number, "a line is Source=, Key= or Verify=");
        }
        return r;
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int list(const char *path, int *ret_fd, Strv *ret)
{
        _cleanup_strv_ Strv names = NULL;
        int r = 0;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        _cleanup_(closedir_cleanup) DIR *dir = opendir(path);
        for (struct dirent *e; dir && r >= 0 && (e = readdir(dir));)
                if (e->d_name[0] != '.' && endswith(e->d_name, SUFFIX))
                        r = strv_length(names) < FILES_MAX ? strv_append(&names, e->d_name) : -E2BIG;
        if (r < 0)
                return r;
        if (names)
                qsort(names, strv_length(names), sizeof(char *), compare);
        *ret_fd = TAKE_FD(fd);
        *ret = TAKE_PTR(names);
        return 0;
}

int trust_find(const char *dir, const char *url, Trust *ret, char **ret_error)
{
        _cleanup_strv_ Strv names = NULL;
        _cleanup_trust_ Trust best = {};
        size_t best_length = 0;
        int r, fd = -EBADF;

        r = list(dir, &fd, &names);
        if (r == -ENOENT) {
                *ret = (Trust){};
                return 0;
        }
        if (r == -E2BIG)
                *ret_error = strf("%s has more than %u files.", dir, FILES_MAX);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = fd;
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *text = NULL, *file = strf("%s/%s", dir, *name);
                Trust trust = {};
                size_t length;

                OOM_CHECK(file);
                r = file_read_at(dir_fd, *name, FILE_MAX, &text, NULL);
                if (r < 0) {
                        *ret_error = strf("Cannot read '%s': %s", file, strerror(-r));
                        return r;
                }
                r = read_file(dir, file, text, url, &trust, &length, ret_error);
                if (r >= 0 && length > best_length) {
                        trust_clear(&best);
                        best = trust;
                        best.file = TAKE_PTR(file);
                        best_length = length;
                } else
                        trust_clear(&trust);
                if (r < 0)
                        return r;
        }
        *ret = best;
        best = (Trust){};
        return 0;
}

/* --- signatures ---------------------------------------------------------------------------------------- */

/* Decodes one line of base64, which must have `size` bytes. Returns the number of bytes, or -EBADMSG. */
static int decode(const char *line, uint8_t *out, size_t size)
{
        size_t n = strcspn(line, "\r\n");
        uint8_t bytes[512];
        int length;

        if (n == 0 || n % 4 != 0 || n / 4 * 3 > sizeof(bytes))
                return -EBADMSG;
        length = EVP_DecodeBlock(bytes, (const uint8_t *) line, (int) n);
        if (length < 0)
                return -EBADMSG;
        length -= (line[n - 1] == '=') + (line[n - 2] == '=');
        if ((size_t) length != size)
                return -EBADMSG;
        memcpy(out, bytes, size);
        return length;
}

static const char *next_line(const char *text)
{
        const char *end = text ? strchr(text, '\n') : NULL;

        return end ? end + 1 : NULL;
}

static bool verify(EVP_PKEY *key, const EVP_MD *digest, const void *signature, size_t signature_size,
                   const void *data, size_t size)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good = context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
                    EVP_DigestVerify(context, signature, signature_size, data, size) == 1;

        EVP_MD_CTX_free(context);
        return good;
}

/* The second line of a public key of minisign(1), behind a comment: algorithm, number of the key, Ed25519
 * key. */
typedef struct Minikey {
        uint8_t algorithm[2], id[8], key[32];
} Minikey;

typedef struct Minisignature {
        uint8_t algorithm[2], id[8], signature[64];
} Minisignature;

/* The first signature is over the data, or over their BLAKE2b digest. The second one is over the first
 * signature and the trusted comment. */
static bool check_minisign(const char *key_text, const void *data, size_t size, const char *text)
{
        static const char trusted[] = "trusted comment: ";
        const char *second = next_line(text), *third = next_line(second), *fourth = next_line(third);
        uint8_t digest[64], global[64], all[64 + 1024];
        Minisignature s;
        Minikey k;

        if (!startswith(key_text, "untrusted comment:") || !next_line(key_text) ||
            decode(next_line(key_text), (uint8_t *) &k, sizeof(k)) < 0 || !fourth ||
            decode(second, (uint8_t *) &s, sizeof(s)) < 0 || !startswith(third, trusted) ||
            decode(fourth, global, sizeof(global)) < 0)
                return false;
        size_t n = strcspn(third, "\r\n") - strlen(trusted);
        bool hashed = memcmp(s.algorithm, "ED", 2) == 0;
        if (memcmp(k.algorithm, "Ed", 2) != 0 || (!hashed && memcmp(s.algorithm, "Ed", 2) != 0) ||
            memcmp(k.id, s.id, sizeof(k.id)) != 0 || n > sizeof(all) - sizeof(s.signature))
                return false;
        memcpy(all, s.signature, sizeof(s.signature));
        memcpy(all + sizeof(s.signature), third + strlen(trusted), n);
        if (hashed && EVP_Digest(data, size, digest, NULL, EVP_blake2b512(), NULL) != 1)
                return false;
        EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k.key, sizeof(k.key));
        bool good = key &&
                    verify(key, NULL, s.signature, sizeof(s.signature), hashed ? digest : data,
                           hashed ? sizeof(digest) : size) &&
                    verify(key, NULL, global, sizeof(global), all, sizeof(s.signature) + n);
        EVP_PKEY_free(key);
        return good;
}

static EVP_PKEY *read_public_key(const char *text)
{
        BIO *bio = BIO_new_mem_buf(text, -1);
        EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

        BIO_free(bio);
        return key;
}

const EVP_MD *signature_digest(const EVP_PKEY *key)
{
        return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256();
}

bool signature_is_of(EVP_PKEY *key, const void *data, size_t size, const void *signature,
                     size_t signature_size)
{
        return verify(key, signature_digest(key), signature, signature_size, data, size);
}

static bool check_plain(const char *key_text, const void *data, size_t size, const char *signature,
                        size_t signature_size)
{
        EVP_PKEY *key = read_public_key(key_text);
        bool good = key && signature_is_of(key, data, size, signature, signature_size);

        EVP_PKEY_free(key);
        return good;
}

/* Reads CMS in PEM or DER. */
static CMS_ContentInfo *read_cms(const char *signature, size_t size)
{
        BIO *bio = BIO_new_mem_buf(signature, (int) size);
        CMS_ContentInfo *cms = NULL;

        if (bio && startswith(signature, "-----BEGIN"))
                cms = PEM_read_bio_CMS(bio, NULL, NULL, NULL);
        else if (bio)
                cms = d2i_CMS_bio(bio, NULL);
        BIO_free(bio);
        return cms;
}

/* Accepts a signer with this certificate, or with a certificate that is signed by it. */
static bool check_cms(const char *key_text, const void *data, size_t size, const char *signature,
                      size_t signature_size, bool at_any_time)
{
        BIO *content = BIO_new_mem_buf(data, (int) size), *file = BIO_new_mem_buf(key_text, -1);
        X509 *certificate = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
        CMS_ContentInfo *cms = read_cms(signature, signature_size);
        STACK_OF(X509) *signers = sk_X509_new_null();
        X509_STORE *store = X509_STORE_new();
        bool good = false;

        if (content && certificate && cms && signers && store) {
                X509_VERIFY_PARAM *parameters = X509_STORE_get0_param(store);
                (void) X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY);
                (void) X509_VERIFY_PARAM_set_flags(parameters,
                                                   X509_V_FLAG_PARTIAL_CHAIN |
                                                           (at_any_time ? X509_V_FLAG_NO_CHECK_TIME : 0));
                good = X509_STORE_add_cert(store, certificate) == 1 &&
                       sk_X509_push(signers, certificate) > 0 &&
                       CMS_verify(cms, signers, store, content, NULL, CMS_BINARY) == 1;
        }
        X509_STORE_free(store);
        sk_X509_free(signers);
        CMS_ContentInfo_free(cms);
        X509_free(certificate);
        BIO_free(file);
        BIO_free(content);
        return good;
}

static bool is_of_kind(const char *key_text, SignatureKind kind)
{
        switch (kind) {
        case SIGNATURE_MINISIGN:
                return startswith(key_text, "untrusted comment:");
        case SIGNATURE_CMS:
                return strstr(key_text, "-----BEGIN CERTIFICATE-----");
        default:
                return strstr(key_text, "-----BEGIN PUBLIC KEY-----");
        }
}

static int read_key(const char *path, char **ret, char **ret_error)
{
        int r = file_read_at(AT_FDCWD, path, FILE_MAX, ret, NULL);

        if (r < 0)
                *ret_error = strf("Cannot read the key '%s': %s", path, strerror(-r));
        return r;
}

int trust_has(const Trust *trust, SignatureKind kind, char **ret_error)
{
        STRV_FOREACH (key, trust->keys) {
                _cleanup_free_ char *text = NULL;
                int r = read_key(*key, &text, ret_error);
                if (r < 0)
                        return r;
                if (is_of_kind(text, kind))
                        return 1;
        }
        return 0;
}

int trust_check(const Trust *trust, SignatureKind kind, const void *data, size_t size, const char *signature,
                size_t signature_size, char **ret_error)
{
        STRV_FOREACH (key, trust->keys) {
                _cleanup_free_ char *text = NULL;
                int r = read_key(*key, &text, ret_error);
                if (r < 0)
                        return r;
                if (is_of_kind(text, kind) &&
                    (kind == SIGNATURE_MINISIGN ? check_minisign(text, data, size, signature)
                     : kind == SIGNATURE_CMS
                             ? check_cms(text, data, size, signature, signature_size, trust->at_any_time)
                             : check_plain(text, data, size, signature, signature_size)))
                        return 0;
        }
        return -EKEYREJECTED;
}

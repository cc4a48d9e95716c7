/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/host-key.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/random.h"
#include "basic/str.h"

#define BLOB_MAX 2048U
#define BITS_RSA 3072U

/* A buffer for the data types of RFC 4251, section 5, and for OpenSSH's format of private keys
 * (PROTOCOL.key). */
typedef struct Blob {
        uint8_t data[BLOB_MAX];
        size_t n;
} Blob;

static void put_bytes(Blob *b, const void *data, size_t n)
{
        assert(n <= sizeof(b->data) - b->n);
        memcpy(b->data + b->n, data, n);
        b->n += n;
}

static void put_number(Blob *b, uint32_t value)
{
        uint32_t v = htobe32(value);

        put_bytes(b, &v, sizeof(v));
}

static void put_string(Blob *b, const void *data, size_t n)
{
        put_number(b, (uint32_t) n);
        put_bytes(b, data, n);
}

static void put_text(Blob *b, const char *text)
{
        put_string(b, text, strlen(text));
}

/* Appends an mpint (RFC 4251, section 5). If the highest bit of a positive number is set, a zero byte
 * precedes the number. */
static int put_integer(Blob *b, const EVP_PKEY *key, const char *parameter)
{
        uint8_t bytes[BITS_RSA / 8 + 1] = { 0 };
        BIGNUM *value = NULL;

        if (!EVP_PKEY_get_bn_param(key, parameter, &value))
                return -EIO;
        int n = BN_num_bytes(value);
        bool fits = n > 0 && (size_t) n < sizeof(bytes);
        if (fits)
                BN_bn2bin(value, bytes + 1);
        BN_free(value);
        if (!fits)
                return -EIO;
        bool pad = bytes[1] & 0x80;
        put_string(b, bytes + !pad, (size_t) n + pad);
        return 0;
}

static int public_rsa(Blob *b, const EVP_PKEY *key)
{
        put_text(b, "ssh-rsa");
        int r = put_integer(b, key, OSSL_PKEY_PARAM_RSA_E);
        return r < 0 ? r : put_integer(b, key, OSSL_PKEY_PARAM_RSA_N);
}

static int public_ecdsa(Blob *b, const EVP_PKEY *key)
{
        uint8_t x[32], y[32], point[65] = { 4 };
        BIGNUM *value_x = NULL, *value_y = NULL;
        bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &value_x) &&
                    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &value_y) &&
                    BN_bn2binpad(value_x, x, sizeof(x)) == sizeof(x) &&
                    BN_bn2binpad(value_y, y, sizeof(y)) == sizeof(y);

        BN_free(value_x);
        BN_free(value_y);
        if (!good)
                return -EIO;
        memcpy(point + 1, x, sizeof(x));
        memcpy(point + 33, y, sizeof(y));
        put_text(b, "ecdsa-sha2-nistp256");
        put_text(b, "nistp256");
        put_string(b, point, sizeof(point));
        return 0;
}

static int public_ed25519(Blob *b, const EVP_PKEY *key)
{
        uint8_t bytes[32];
        size_t n = sizeof(bytes);

        if (!EVP_PKEY_get_raw_public_key(key, bytes, &n) || n != sizeof(bytes))
                return -EIO;
        put_text(b, "ssh-ed25519");
        put_string(b, bytes, n);
        return 0;
}

/* OpenSSH has long read keys of these types in PEM. */
static int private_pem(const EVP_PKEY *key, BIO *out)
{
        return PEM_write_bio_PrivateKey_traditional(out, key, NULL, NULL, 0, NULL, NULL) ? 0 : -EIO;
}

static int private_ed25519(const EVP_PKEY *key, BIO *out)
{
        uint8_t bytes[64];
        size_t n = 32, n_public = 32;
        Blob public = {}, secret = {}, all = {};
        uint32_t check = (uint32_t) random_u64();
        int r;

        if (!EVP_PKEY_get_raw_private_key(key, bytes, &n) ||
            !EVP_PKEY_get_raw_public_key(key, bytes + 32, &n_public))
                return -EIO;
        r = public_ed25519(&public, key);
        if (r < 0)
                return r;
        put_number(&secret, check);
        put_number(&secret, check);
        put_bytes(&secret, public.data, public.n);
        put_string(&secret, bytes, sizeof(bytes));
        put_text(&secret, "");
        for (uint8_t pad = 1; secret.n % 8 != 0; pad++)
                put_bytes(&secret, &pad, 1);

        put_bytes(&all, "openssh-key-v1", sizeof("openssh-key-v1"));
        put_text(&all, "none");
        put_text(&all, "none");
        put_text(&all, "");
        put_number(&all, 1);
        put_string(&all, public.data, public.n);
        put_string(&all, secret.data, secret.n);
        r = PEM_write_bio(out, "OPENSSH PRIVATE KEY", "", all.data, (long) all.n) > 0 ? 0 : -EIO;
        OPENSSL_cleanse(bytes, sizeof(bytes));
        OPENSSL_cleanse(&secret, sizeof(secret));
        OPENSSL_cleanse(&all, sizeof(all));
        return r;
}

static EVP_PKEY *make_rsa(void)
{
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) BITS_RSA);
}

static EVP_PKEY *make_ecdsa(void)
{
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static EVP_PKEY *make_ed25519(void)
{
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static const char *const names[] = { HOST_KEY_TYPES };

static const struct {
        const char *type;
        EVP_PKEY *(*make)(void);
        int (*public)(Blob *b, const EVP_PKEY *key);
        int (*private)(const EVP_PKEY *key, BIO *out);
} types[] = {
        { "ssh-rsa", make_rsa, public_rsa, private_pem },
        { "ecdsa-sha2-nistp256", make_ecdsa, public_ecdsa, private_pem },
        { "ssh-ed25519", make_ed25519, public_ed25519, private_ed25519 },
};

static int write_private(int dir_fd, size_t i, const EVP_PKEY *key)
{
        _cleanup_free_ char *file = strf(HOST_KEY_PREFIX "%s_key", names[i]);
        char *text;
        BIO *out = BIO_new(BIO_s_secmem());
        int r = file && out ? types[i].private(key, out) : -ENOMEM;

        if (r >= 0) {
                long n = BIO_get_mem_data(out, &text);
                r = n > 0 ? file_write_atomic_at(dir_fd, file, 0600, text, (size_t) n) : -EIO;
        }
        BIO_free(out);
        return r;
}

static int write_public(int dir_fd, size_t i, const EVP_PKEY *key)
{
        _cleanup_free_ char *file = strf(HOST_KEY_PREFIX "%s_key.pub", names[i]), *text = NULL;
        char base64[BLOB_MAX * 2];
        Blob b = {};
        int r = types[i].public(&b, key);

        if (r < 0)
                return r;
        (void) EVP_EncodeBlock((unsigned char *) base64, b.data, (int) b.n);
        text = strf("%s %s\n", types[i].type, base64);
        if (!file || !text)
                return -ENOMEM;
        return file_write_atomic_at(dir_fd, file, 0644, text, strlen(text));
}

static int make_type(int dir_fd, size_t i)
{
        EVP_PKEY *key = types[i].make();
        int r = key ? write_private(dir_fd, i, key) : -EIO;

        if (r >= 0)
                r = write_public(dir_fd, i, key);
        EVP_PKEY_free(key);
        return r;
}

int host_keys_make(int dir_fd, int mask)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(types); i++)
                if (mask & (1 << i))
                        r = make_type(dir_fd, i);
        return r;
}

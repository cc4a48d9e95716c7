/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that say whom images are taken from, and signatures by keys that the test makes. */

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "fetch/trust.h"
#include "test-dir.h"

static int dir_fd;

/* --- files --------------------------------------------------------------------------------------------- */

static void forget(void)
{
        (void) unlinkat(dir_fd, "trust.d", AT_REMOVEDIR);
        int fd = openat(dir_fd, "trust.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(closedir_cleanup) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        for (struct dirent *e; dir && (e = readdir(dir));)
                if (unlinkat(fd, e->d_name, 0) < 0)
                        (void) unlinkat(fd, e->d_name, AT_REMOVEDIR);
        (void) mkdirat(dir_fd, "trust.d", 0755);
}

static void put(const char *name, const char *text)
{
        _cleanup_free_ char *path = strf("trust.d/%s", name);

        test_put(dir_fd, path, text);
}

/* The path of something in the directory. */
static char *path_of(const char *name)
{
        return strf("%s/trust.d/%s", test_dir_path, name);
}

static int find(const char *url, Trust *ret, char **ret_error)
{
        _cleanup_free_ char *dir = strf("%s/trust.d", test_dir_path);

        return trust_find(dir, url, ret, ret_error);
}

/* The name of the file that counts for a URL, "" for none. */
static void check_file(const char *url, const char *name)
{
        _cleanup_free_ char *path = path_of(name), *error = NULL;
        _cleanup_trust_ Trust trust = {};

        if (!CHECK_INT(find(url, &trust, &error), 0) || !CHECK_TEXT(trust.file, name[0] ? path : NULL))
                fprintf(stderr, "\tthat is: %s\n\t%s\n", url, strna(error));
}

static void check_refused(const char *url, int expected, const char *name, const char *said)
{
        _cleanup_free_ char *path = path_of(name), *error = NULL;
        _cleanup_trust_ Trust trust = {};

        CHECK_INT(find(url, &trust, &error), expected);
        CHECK(!trust.file && !trust.keys);
        const char *rest = error && path ? strstr(error, path) : NULL;
        if (CHECK(rest))
                CHECK_TEXT(rest + strlen(path), said);
}

static void test_nothing(void)
{
        _cleanup_free_ char *error = NULL;
        Trust trust = { .file = (char *) "?" };

        (void) unlinkat(dir_fd, "trust.d", AT_REMOVEDIR);
        CHECK_INT(find("https://example.org/x", &trust, &error), 0);
        CHECK(!trust.file && !trust.keys && trust.mode == VERIFY_DEFAULT);
        forget();
        check_file("https://example.org/x", "");
        /* These are no such files. */
        put(".hidden.trust", "nonsense\n");
        put("x.trust.dpkg-old", "nonsense\n");
        put("x.conf", "nonsense\n");
        check_file("https://example.org/x", "");
        put("empty.trust", "");
        check_file("https://example.org/x", "");
}

static void test_values(void)
{
        _cleanup_free_ char *error = NULL, *own = NULL;
        _cleanup_trust_ Trust trust = {}, other = {};

        forget();
        put("a.trust", "# A comment=\n"
                       "\n"
                       "  \t# Key=not.pem\n"
                       "Source=https://one.example/\r\n"
                       " Source=http://two.example/x/ \t\n"
                       "\tKey=a.pem  \n"
                       "Key=/etc/keys/b.pem\n"
                       "Verify=no\n"
                       "Verify=signature \n");
        put("b.trust", "Source=https://three.example/");
        CHECK_INT(find("http://two.example/x/y.tar", &trust, &error), 0);
        own = path_of("a.pem");
        CHECK_INT(strv_length(trust.keys), 2);
        CHECK_TEXT(trust.keys[0], own);
        CHECK_TEXT(trust.keys[1], "/etc/keys/b.pem");
        CHECK_INT(trust.mode, VERIFY_SIGNATURE);
        CHECK(!trust.at_any_time);
        check_file("https://one.example/y", "a.trust");
        check_file("http://two.example/y", "");
        /* The last line needs no end, and who says nothing has the default. */
        CHECK_INT(find("https://three.example/y", &other, &error), 0);
        CHECK(other.file && !other.keys);
        CHECK_INT(other.mode, VERIFY_DEFAULT);
}

static void test_longest(void)
{
        forget();
        put("a.trust", "Source=https://example.org/debian/12/x/\nSource=https://example.org/debian/\n");
        put("b.trust", "Source=https://example.org/\nSource=https://example.org/debian/12/\n");
        put("c.trust", "Source=https://example.org/debian/12/\n");
        put("d.trust", "Source=http://example.org/debian/12/x/y\n");
        check_file("https://example.org/x", "b.trust");
        check_file("https://example.org/debian/x", "a.trust");
        check_file("https://example.org/debian/12/x/y", "a.trust");
        /* Of two that say the same, the first counts. */
        check_file("https://example.org/debian/12/y", "b.trust");
        check_file("http://example.org/debian/12/x/y.raw", "d.trust");
        check_file("http://example.org/debian/12/y", "");
}

/* What only looks like the source is another one. */
static void test_covers(void)
{
        static const struct {
                const char *source, *url;
                bool covered;
        } pairs[] = {
                { "https://example.org", "https://example.org", true },
                { "https://example.org", "https://example.org/x", true },
                { "https://example.org", "https://example.org.evil.example/x", false },
                { "https://example.org", "https://example.organic/x", false },
                { "https://example.org", "https://example.org:8080/x", false },
                { "https://example.org", "https://example.org@evil.example/x", false },
                { "https://example.org/", "https://example.org", false },
                { "https://example.org/a", "https://example.org/abc", true },
                { "https://example.org/a/", "https://example.org/abc", false },
                { "https://example.org/a/", "https://example.org/a/../b", false },
                { "https://example.org/a/", "https://example.org/a/b/..", false },
                { "https://example.org/a/", "https://example.org/a/%2e%2e/b", false },
                { "https://example.org/a/", "https://example.org/a/%2E./b", false },
                { "https://example.org/a/", "https://example.org/a/..b", true },
                { "https://user@example.org/", "https://user@example.org/x", false },
                { "https://example.org/", "https://example.org/x@y", true },
                { "https://example.org/", "https://example.org/x?y=@", true },
                { "https://example.org/", "http://example.org/x", false },
                { "https://example.org/", "xhttps://example.org/x", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                _cleanup_free_ char *text = strf("Source=%s\n", pairs[i].source);
                forget();
                put("a.trust", text);
                check_file(pairs[i].url, pairs[i].covered ? "a.trust" : "");
        }
}

/* A file that is wrong is not passed over, whatever the source. */
static void test_refused(void)
{
        static const struct {
                const char *text, *said;
        } texts[] = {
                { "nonsense", ":1: a line is Source=, Key= or Verify=" },
                { "Source=https://x/\n\n# x\nKeys=x\n", ":4: a line is Source=, Key= or Verify=" },
                { "source=https://x/\n", ":1: a line is Source=, Key= or Verify=" },
                { "Source =https://x/\n", ":1: a line is Source=, Key= or Verify=" },
                { "[Trust]\n", ":1: a line is Source=, Key= or Verify=" },
                { "\nSource=ftp://x/\n", ":2: Source= takes a URL that begins with https:// or http://" },
                { "Source=\n", ":1: Source= takes a URL that begins with https:// or http://" },
                { "Source= https://x/\n", ":1: Source= takes a URL that begins with https:// or http://" },
                { "Source=https://x/\nKey=\n", ":2: Key= takes the path of a file" },
                { "Source=https://x/\nKey= \t\n", ":2: Key= takes the path of a file" },
                { "Verify=\n", ":1: Verify= is signature, checksum or no" },
                { "Verify=maybe\n", ":1: Verify= is signature, checksum or no" },
                { "Verify=Signature\n", ":1: Verify= is signature, checksum or no" },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                forget();
                put("a.trust", "Source=https://example.org/\nKey=x.pem\n");
                put("z.trust", texts[i].text);
                check_refused("https://example.org/x", -EINVAL, "z.trust", texts[i].said);
        }
        forget();
        put("a.trust", "Source=https://example.org/\n");
        (void) mkdirat(dir_fd, "trust.d/z.trust", 0755);
        check_refused("https://example.org/x", -EBADFD, "z.trust", "': File descriptor in bad state");
}

/* --- signatures ---------------------------------------------------------------------------------------- */

#define DATA "The digests of images.\n"

static EVP_PKEY *make_key(void)
{
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

        if (!key)
                abort();
        return key;
}

static void put_public_key(const char *name, EVP_PKEY *key)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;

        if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1 || BIO_write(bio, "", 1) != 1 ||
            BIO_get_mem_data(bio, &text) <= 0)
                abort();
        put(name, text);
        BIO_free(bio);
}

static void sign(EVP_PKEY *key, const void *data, size_t size, uint8_t ret[static 64])
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        size_t n = 64;

        if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
            EVP_DigestSign(context, ret, &n, data, size) != 1)
                abort();
        EVP_MD_CTX_free(context);
}

static int check(const Trust *trust, SignatureKind kind, const char *data, const void *signature,
                 size_t size)
{
        _cleanup_free_ char *error = NULL;
        int r = trust_check(trust, kind, data, strlen(data), signature, size, &error);

        CHECK((r < 0 && r != -EKEYREJECTED) == (error != NULL));
        return r;
}

static void test_plain(EVP_PKEY *key, EVP_PKEY *stranger)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_trust_ Trust trust = {};
        uint8_t signature[65] = {}, others[65] = {};

        forget();
        put("a.trust", "Source=https://example.org/\nKey=first.pub\nKey=own.pub\n");
        EVP_PKEY *unused = make_key();
        put_public_key("first.pub", unused);
        put_public_key("own.pub", key);
        EVP_PKEY_free(unused);
        sign(key, DATA, strlen(DATA), signature);
        sign(stranger, DATA, strlen(DATA), others);
        CHECK_INT(find("https://example.org/x", &trust, &error), 0);

        CHECK_INT(trust_has(&trust, SIGNATURE_PLAIN, &error), 1);
        CHECK_INT(trust_has(&trust, SIGNATURE_CMS, &error), 0);
        CHECK_INT(trust_has(&trust, SIGNATURE_MINISIGN, &error), 0);
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA, signature, 64), 0);
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA, others, 64), -EKEYREJECTED);
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA "\n", signature, 64), -EKEYREJECTED);
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA, signature, 63), -EKEYREJECTED);
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA, signature, 0), -EKEYREJECTED);
        /* A signature of another kind is not by this key. */
        CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA, signature, 64), -EKEYREJECTED);
        CHECK_INT(check(&trust, SIGNATURE_CMS, DATA, signature, 64), -EKEYREJECTED);
        signature[7] ^= 1;
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA, signature, 64), -EKEYREJECTED);
        CHECK_INT(check(&(Trust){}, SIGNATURE_PLAIN, DATA, signature, 64), -EKEYREJECTED);

        /* A key that is not there is an error, and not only nobody's. */
        put("a.trust", "Source=https://example.org/\nKey=gone.pub\n");
        trust_clear(&trust);
        CHECK_INT(find("https://example.org/x", &trust, &error), 0);
        CHECK_INT(check(&trust, SIGNATURE_PLAIN, DATA, others, 64), -ENOENT);
        CHECK_INT(trust_has(&trust, SIGNATURE_PLAIN, &error), -ENOENT);
        CHECK(error && startswith(error, "Cannot read the key '") &&
              endswith(error, "gone.pub': No such file or directory"));
}

/* Algorithm, number of the key, and what it is; in base64. */
static char *encode(const char *algorithm, const char *id, const void *data, size_t size)
{
        uint8_t bytes[128], text[256];

        if (strlen(algorithm) + strlen(id) + size > sizeof(bytes))
                abort();
        memcpy(bytes, algorithm, strlen(algorithm));
        memcpy(bytes + strlen(algorithm), id, strlen(id));
        memcpy(bytes + strlen(algorithm) + strlen(id), data, size);
        EVP_EncodeBlock(text, bytes, (int) (strlen(algorithm) + strlen(id) + size));
        return strdup((const char *) text);
}

static char *sign_minisign(EVP_PKEY *key, bool hashed, const char *id, const char *comment)
{
        uint8_t digest[64], both[64 + 128], global[64];

        if (EVP_Digest(DATA, strlen(DATA), digest, NULL, EVP_blake2b512(), NULL) != 1 ||
            strlen(comment) > 128)
                abort();
        sign(key, hashed ? (const void *) digest : DATA, hashed ? sizeof(digest) : strlen(DATA), both);
        memcpy(both + 64, comment, strlen(comment));
        sign(key, both, 64 + strlen(comment), global);
        _cleanup_free_ char *first = encode(hashed ? "ED" : "Ed", id, both, 64),
                            *second = encode("", "", global, 64);
        return strf("untrusted comment: x\n%s\ntrusted comment: %s\n%s\n", first, comment, second);
}

static void test_minisign(EVP_PKEY *key, EVP_PKEY *stranger)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_trust_ Trust trust = {};
        uint8_t raw[32];
        size_t n = sizeof(raw);

        if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
                abort();
        _cleanup_free_ char *encoded = encode("Ed", "12345678", raw, n),
                            *text = strf("untrusted comment: x\n%s\n", encoded);
        forget();
        put("a.trust", "Source=https://example.org/\nKey=mini.pub\n");
        put("mini.pub", text);
        CHECK_INT(find("https://example.org/x", &trust, &error), 0);
        CHECK_INT(trust_has(&trust, SIGNATURE_MINISIGN, &error), 1);
        CHECK_INT(trust_has(&trust, SIGNATURE_PLAIN, &error), 0);

        for (int hashed = 0; hashed < 2; hashed++) {
                _cleanup_free_ char *good = sign_minisign(key, hashed, "12345678", "file:x"),
                                    *others = sign_minisign(stranger, hashed, "12345678", "file:x"),
                                    *number = sign_minisign(key, hashed, "12345679", "file:x"),
                                    *changed = strdup(good);
                CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA, good, strlen(good)), 0);
                CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA "x", good, strlen(good)), -EKEYREJECTED);
                CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA, others, strlen(others)), -EKEYREJECTED);
                CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA, number, strlen(number)), -EKEYREJECTED);
                /* The trusted comment is signed as well. */
                *strstr(changed, "file:x") = 'F';
                CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA, changed, strlen(changed)), -EKEYREJECTED);
                /* One that is cut off anywhere is none. */
                for (size_t end = 0; end + 1 < strlen(good); end++) {
                        _cleanup_free_ char *cut = strndup(good, end);
                        if (!CHECK_INT(check(&trust, SIGNATURE_MINISIGN, DATA, cut, end), -EKEYREJECTED))
                                fprintf(stderr, "\tthat is: cut off at %zu\n", end);
                }
        }
}

int main(void)
{
        dir_fd = test_dir_open();
        test_nothing();
        test_values();
        test_longest();
        test_covers();
        test_refused();
        EVP_PKEY *key = make_key(), *stranger = make_key();
        test_plain(key, stranger);
        test_minisign(key, stranger);
        EVP_PKEY_free(key);
        EVP_PKEY_free(stranger);
        fd_close(dir_fd);
        return test_end();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-sign KEY FILE DESCRIPTOR: "mctl export --sign" runs this program as the calling user.
 *
 * mctl-sign writes the checksum of a file into SHA256SUMS (sha256sum(1)) in the directory of the file, and
 * keeps the lines of other files. It signs SHA256SUMS with a private key of Ed25519, RSA or ECDSA in PEM,
 * and writes the signature to SHA256SUMS.sig (mctl.trust(5)). An existing SHA256SUMS must be signed by the
 * same key, so that no foreign lines are signed.
 *
 * DESCRIPTOR is a socket. mctl-sign sends a byte when all checks before the export have passed. A byte that
 * comes back means that the file is complete. */

#include <locale.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "basic/str.h"
#include "fetch/digest.h"
#include "fetch/trust.h"

#define SUMS          "SHA256SUMS"
#define SIGNATURE     SUMS ".sig"
#define SUMS_MAX      (1024U * 1024U)
#define SIGNATURE_MAX 4096U
#define BLOCK         (256U * 1024U)

static int read_key(const char *path, EVP_PKEY **ret)
{
        FILE *file = fopen(path, "re");

        if (!file)
                return log_error_errno(-errno, "Cannot read the key '%s'", path);
        *ret = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        (void) fclose(file);
        return *ret ? 0 : log_error_return(-EINVAL, "'%s' has no readable private key in PEM.", path);
}

static int sign(EVP_PKEY *key, const char *text, uint8_t signature[static SIGNATURE_MAX], size_t *size)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good;

        *size = SIGNATURE_MAX;
        good = context && EVP_DigestSignInit(context, NULL, signature_digest(key), NULL, key) == 1 &&
               EVP_DigestSign(context, signature, size, (const uint8_t *) text, strlen(text)) == 1;
        EVP_MD_CTX_free(context);
        return good ? 0
                    : log_error_return(-EINVAL, "This key cannot sign: one of Ed25519, RSA or ECDSA can.");
}

/* Returns SHA256SUMS, or "" if it does not exist. */
static int read_sums(int dir_fd, const char *directory, EVP_PKEY *key, char **ret)
{
        _cleanup_free_ char *text = NULL, *signature = NULL;
        size_t size = 0;
        int r = file_read_at(dir_fd, SUMS, SUMS_MAX, &text, NULL);

        if (r == -ENOENT) {
                *ret = strdup("");
                return *ret ? 0 : log_oom();
        }
        if (r < 0)
                return log_error_errno(r, "Cannot read '%s/" SUMS "'", directory);
        r = file_read_at(dir_fd, SIGNATURE, SIGNATURE_MAX, &signature, &size);
        if (r < 0 || !signature_is_of(key, text, strlen(text), signature, size))
                return log_error_return(-EKEYREJECTED,
                                        "'%s/" SUMS
                                        "' exists, and this key has not signed it; the file is not changed. "
                                        "If an export was interrupted, remove " SUMS " and " SIGNATURE ".",
                                        directory);
        *ret = TAKE_PTR(text);
        return 0;
}

static int hash_file(int dir_fd, const char *path, const char *name, char ret[static DIGEST_LENGTH + 1])
{
        _cleanup_digest_ Digest *digest = NULL;
        _cleanup_free_ char *block = malloc(BLOCK);
        ssize_t n = 0;
        int r = block ? digest_begin(&digest) : -ENOMEM;

        if (r < 0)
                return log_oom();
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        while (fd >= 0 && (n = read(fd, block, BLOCK)) > 0)
                digest_add(digest, block, (size_t) n);
        if (fd < 0 || n < 0)
                return log_error_errno(-errno, "Cannot read '%s'", path);
        return digest_end(digest, ret);
}

/* Replaces or appends the line of a file. */
static char *replace_line(const char *sums, const char *name, const char *digest)
{
        _cleanup_strv_ Strv lines = NULL;
        int r = 0;

        for (const char *line = sums, *next; *line && r >= 0; line = next) {
                size_t n = strcspn(line, "\n");
                const char *file = memchr(line, ' ', n);
                next = line + n + (line[n] == '\n');
                if (!file || strlen(name) != (size_t) (line + n - file) - 2 ||
                    strncmp(file + 2, name, strlen(name)) != 0)
                        r = strv_appendf(&lines, "%.*s", (int) n, line);
        }
        if (r >= 0)
                r = strv_appendf(&lines, "%s  %s\n", digest, name);
        return r < 0 ? NULL : strv_join(lines, "\n");
}

/* Waits until the file is complete. Returns false if the export has failed. */
static bool wait_for_file(int fd)
{
        char c = 'R';

        return send(fd, &c, 1, MSG_NOSIGNAL) == 1 && recv(fd, &c, 1, 0) == 1;
}

static int sign_file(EVP_PKEY *key, const char *path, int channel_fd)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_free_ char *directory = slash ? strndup(path, MAX(slash - path, 1)) : strdup("."),
                            *before = NULL, *sums = NULL, *text = NULL;
        char digest[DIGEST_LENGTH + 1];
        uint8_t signature[SIGNATURE_MAX];
        size_t size;
        int r;

        if (!directory)
                return log_oom();
        if (!str_is_clean(name))
                return log_error_return(-EINVAL, "A file with such a name cannot be in " SUMS ".");
        _cleanup_close_ int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return log_error_errno(-errno, "Cannot open '%s'", directory);
        r = sign(key, "", signature, &size);
        if (r >= 0)
                r = read_sums(dir_fd, directory, key, &before);
        if (r < 0 || !wait_for_file(channel_fd))
                return r;
        /* Another export may have changed SHA256SUMS meanwhile: lock the directory, and read it again. */
        if (flock(dir_fd, LOCK_EX) < 0)
                return log_error_errno(-errno, "Cannot lock '%s'", directory);
        r = read_sums(dir_fd, directory, key, &sums);
        if (r >= 0)
                r = hash_file(dir_fd, path, name, digest);
        if (r < 0)
                return r;
        text = replace_line(sums, name, digest);
        if (!text)
                return log_oom();
        r = sign(key, text, signature, &size);
        if (r < 0)
                return r;
        r = file_write_atomic_at(dir_fd, SUMS, 0644, text, strlen(text));
        if (r >= 0)
                r = file_write_atomic_at(dir_fd, SIGNATURE, 0644, signature, size);
        return r < 0 ? log_error_errno(r, "Cannot write '%s/" SUMS "' and its signature", directory) : 0;
}

int main(int argc, char **argv)
{
        EVP_PKEY *key = NULL;
        uint64_t fd;
        int r;

        log_open();
        (void) setlocale(LC_CTYPE, "C.UTF-8");
        if (argc != 4 || parse_u64(argv[3], 0, INT_MAX, &fd) < 0) {
                log_error("'mctl export --sign=KEY' runs mctl-sign.");
                return EXIT_FAILURE;
        }
        r = read_key(argv[1], &key);
        if (r >= 0)
                r = sign_file(key, argv[2], (int) fd);
        EVP_PKEY_free(key);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

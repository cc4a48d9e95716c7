/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "disk/verity.h"

#include <libcryptsetup.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "fetch/trust.h"

#define HASH_BYTES_MAX  64U
#define CERTIFICATE_MAX (64 * 1024)
#define MESSAGE_MAX     256U

/* --- signatures ---------------------------------------------------------------------------------------- */

/* A file in an earlier directory overrides a file of the same name in a later one. A link to /dev/null, or a
 * file that is not a certificate, disables this name only. */
static int list_certificates(Trust *trust)
{
        static const char *const dirs[] = { VERITY_CERTIFICATE_DIRS };
        _cleanup_strv_ Strv names = NULL;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(dirs) && r >= 0; i++) {
                _cleanup_(closedir_cleanup) DIR *dir = opendir(dirs[i]);
                for (struct dirent *e; dir && r >= 0 && (e = readdir(dir));) {
                        _cleanup_free_ char *path = strf("%s/%s", dirs[i], e->d_name), *real = NULL;
                        struct stat st;
                        OOM_CHECK(path);
                        if (e->d_name[0] == '.' || !endswith(e->d_name, ".crt") ||
                            strv_contains(names, e->d_name))
                                continue;
                        r = strv_append(&names, e->d_name);
                        real = realpath(path, NULL);
                        if (r >= 0 && real && stat(real, &st) >= 0 && S_ISREG(st.st_mode) &&
                            st.st_size <= CERTIFICATE_MAX)
                                r = strv_append(&trust->keys, real);
                }
        }
        return r;
}

static int check_signature(const char *hash, const char *signature, size_t size, char **ret_error)
{
        size_t n = size > 0 ? 0 : strlen(signature);
        _cleanup_free_ char *bytes = malloc(n + 1);
        _cleanup_trust_ Trust trust = { .at_any_time = true };
        int r = list_certificates(&trust), decoded;

        OOM_CHECK(bytes);
        decoded = EVP_DecodeBlock((uint8_t *) bytes, (const uint8_t *) signature, (int) n);
        if (r < 0 || decoded < 0)
                return r < 0 ? r : -EKEYREJECTED;
        bytes[decoded] = 0;
        return trust_check(&trust, SIGNATURE_CMS, hash, strlen(hash), size > 0 ? signature : bytes,
                           size > 0 ? size : (size_t) decoded, ret_error);
}

/* --- devices ------------------------------------------------------------------------------------------- */

static void keep_message(int level, const char *message, void *userdata)
{
        if (level == CRYPT_LOG_ERROR)
                snprintf(userdata, MESSAGE_MAX, "%.*s", (int) strcspn(message, "\n"), message);
}

/* The superblock of the hashes has the parameters, and the library reads it. If `name` is NULL, the library
 * reads and verifies all data here. */
static int activate(const char *data, const char *hashes, const char *hash, const char *name,
                    char **ret_error)
{
        struct crypt_params_verity parameters = { .flags = name ? 0 : CRYPT_VERITY_CHECK_HASH };
        struct crypt_device *device = NULL;
        uint8_t bytes[HASH_BYTES_MAX];
        char message[MESSAGE_MAX] = "";
        size_t n;
        int r = OPENSSL_hexstr2buf_ex(bytes, sizeof(bytes), &n, hash, '\0') == 1 ? 0 : -EINVAL;

        if (r >= 0)
                r = crypt_init_data_device(&device, hashes, data);
        if (r >= 0) {
                crypt_set_log_callback(device, keep_message, message);
                r = crypt_load(device, CRYPT_VERITY, &parameters);
        }
        if (r >= 0)
                r = crypt_activate_by_volume_key(device, name, (const char *) bytes, n,
                                                 CRYPT_ACTIVATE_READONLY);
        crypt_free(device);
        if (r < 0)
                *ret_error = message[0] ? str_escape(message) : NULL;
        return r;
}

/* Returns the path of the device's own node. Without udev, there is no name below /dev/mapper. */
static int find_device(const char *name, char **ret)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir("/sys/block");

        for (struct dirent *e; dir && (e = readdir(dir));) {
                _cleanup_free_ char *path = strf("/sys/block/%s/dm/name", e->d_name), *text = NULL;
                OOM_CHECK(path);
                if (!startswith(e->d_name, "dm-") || file_read_at(AT_FDCWD, path, NAME_MAX, &text, NULL) < 0)
                        continue;
                text[strcspn(text, "\n")] = 0;
                if (!streq(text, name))
                        continue;
                *ret = strf("/dev/%s", e->d_name);
                return *ret ? 0 : -ENOMEM;
        }
        return -ENODEV;
}

static int close_device(const char *name)
{
        return crypt_deactivate_by_name(NULL, name, CRYPT_DEACTIVATE_DEFERRED);
}

static int open_device(const char *data, const char *hashes, const char *hash, const char *name,
                       char **ret_path, char **ret_error)
{
        int r = activate(data, hashes, hash, name, ret_error);

        if (r < 0)
                return r;
        r = find_device(name, ret_path);
        if (r < 0)
                (void) close_device(name);
        return r;
}

static int check_all(const char *data, const char *hashes, const char *hash, char **ret_error)
{
        int r = activate(data, hashes, hash, NULL, ret_error);

        return r == -EPERM || r == -EIO ? -EUCLEAN : r;
}

const VerityModule verity_module = {
        .check_signature = check_signature,
        .open = open_device,
        .close = close_device,
        .check_all = check_all,
};

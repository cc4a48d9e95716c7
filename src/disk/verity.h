/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* The code for dm-verity that needs large libraries, libcryptsetup and OpenSSL. It is a module that is
 * loaded only for a disk with hashes. Root hashes are in lower-case hexadecimal. Errors have a text, which
 * the caller frees. */

/* Directories with the certificates of trusted signers of root hashes: files *.crt in PEM, as for
 * systemd. */
#define VERITY_CERTIFICATE_DIRS "/etc/verity.d", "/run/verity.d", "/usr/lib/verity.d"

#define VERITY_MODULE LIBEXECDIR "/mctl-verity.so"

typedef struct VerityModule {
        /* Checks a signature of the root hash (CMS). `size` is the number of bytes in DER, or 0 if the
         * signature is a string in base64. -EKEYREJECTED if no trusted certificate made the signature. */
        int (*check_signature)(const char *hash, const char *signature, size_t size, char **ret_error);

        /* Makes a device `name` of device mapper from the block device `data` and the block device `hashes`.
         * Blocks that do not match the root hash cannot be read. The caller frees the path. */
        int (*open)(const char *data, const char *hashes, const char *hash, const char *name,
                    char **ret_path, char **ret_error);

        /* Removes the device after its last close or unmount. */
        int (*close)(const char *name);

        /* Reads and verifies all data without the kernel. -EUCLEAN if the data do not match the root
         * hash. */
        int (*check_all)(const char *data, const char *hashes, const char *hash, char **ret_error);
} VerityModule;

/* The symbol to look up in the module. */
extern _public_ const VerityModule verity_module;

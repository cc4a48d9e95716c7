/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* What disks with dm-verity need of large libraries, libcryptsetup and OpenSSL: a module, which is loaded where there is such a disk. Root hashes
 * are in lower-case hexadecimal. What fails has a text, which the caller frees. */

/* Certificates of those who may sign root hashes: files *.crt in PEM, where systemd looks for them as well. */
#define VERITY_CERTIFICATE_DIRS "/etc/verity.d", "/run/verity.d", "/usr/lib/verity.d"

#define VERITY_MODULE LIBEXECDIR "/mctl-verity.so"

typedef struct VerityModule {
        /* Whether one of them has made this signature of the hash: CMS, in so many bytes of DER, or 0 for a text in base64. -EKEYREJECTED where
         * none has. */
        int (*check_signature)(const char *hash, const char *signature, size_t size, char **ret_error);

        /* Makes a device of that name for device mapper, of a block device and the one with its hashes, that gives nothing but what the root hash says.
         * The caller frees the path. */
        int (*open)(const char *data, const char *hashes, const char *hash, const char *name,
                    char **ret_path, char **ret_error);

        /* It goes once nobody has it open or mounted. */
        int (*close)(const char *name);

        /* Reads all of it, without the kernel's help. -EUCLEAN where it is not what the root hash says. */
        int (*check_all)(const char *data, const char *hashes, const char *hash, char **ret_error);
} VerityModule;

/* By this name. */
extern _public_ const VerityModule verity_module;

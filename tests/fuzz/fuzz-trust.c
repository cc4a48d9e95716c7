/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A file of the administrator's, and what a server says is a signature: the first half is the one, the
 * second the other. */

#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "fetch/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One key of each kind. */
static void write_keys(int dir_fd)
{
        static const char minisign[] = "untrusted comment: minisign public key\n"
                                       "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n",
                          ed25519[] = "-----BEGIN PUBLIC KEY-----\n"
                                      "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                                      "-----END PUBLIC KEY-----\n";

        if (file_write_atomic_at(dir_fd, "m.pub", 0644, minisign, strlen(minisign)) < 0 ||
            file_write_atomic_at(dir_fd, "e.pub", 0644, ed25519, strlen(ed25519)) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char path[] = "/dev/shm/fuzz-trust-XXXXXX";
        static int dir_fd = -1;
        _cleanup_free_ char *error = NULL,
                            *signature = strndup((const char *) data + size / 2, size - size / 2);
        _cleanup_trust_ Trust trust = {};

        if (dir_fd < 0) {
                if (!mkdtemp(path) || (dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                        abort();
                write_keys(dir_fd);
        }
        if (!signature || file_write_atomic_at(dir_fd, "x.trust", 0644, data, size / 2) < 0)
                abort();
        if (trust_find(path, "https://example.org/x.tar", &trust, &error) < 0)
                return 0;
        for (SignatureKind kind = 0; kind < _SIGNATURE_KIND_MAX; kind++) {
                _cleanup_free_ char *why = NULL;
                if (trust_check(&trust, kind, "data", 4, signature, strlen(signature), &why) >= 0)
                        abort(); /* nobody has signed that */
        }
        return 0;
}

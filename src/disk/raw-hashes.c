/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/raw-hashes.h"
#include "disk/raw-text.h"

#include <ctype.h>
#include <dlfcn.h>
#include <jansson.h>

#include "basic/failure.h"
#include "basic/names.h"
#include "disk/hash-file.h"

#define SIGNATURE_MAX (64U * 1024U)

int raw_load_verity(const VerityModule **ret, char **ret_error)
{
        void *library = dlopen(VERITY_MODULE, RTLD_NOW | RTLD_NODELETE);

        *ret = library ? dlsym(library, "verity_module") : NULL;
        return *ret ? 0
                    : set_failure(ret_error, -ELIBACC, "Disks with hashes need " VERITY_MODULE ": %s.",
                                  dlerror());
}

/* --- what is wanted ------------------------------------------------------------------------------------ */

static int read_beside(int dir_fd, const char *name, const char *kind, Wanted *w, char **ret_error)
{
        int r = hash_file_read(dir_fd, name, kind, w->hash);

        if (r == -EUCLEAN)
                return set_failure(ret_error, r, "'%s.%s' has no root hash in it.", name, kind);
        if (r > 0)
                r = hash_file_read_signature(dir_fd, name, kind, &w->signature, &w->size);
        return r < 0 ? set_failure(ret_error, r, "'%s.%s', or its signature, cannot be read: %s", name, kind,
                                   strerror(-r))
                     : 0;
}

static int read_all_beside(int dir_fd, const char *name, RawWanted *w, char **ret_error)
{
        int r = read_beside(dir_fd, name, "roothash", w->of + PARTITION_ROOT, ret_error);

        return r < 0 ? r : read_beside(dir_fd, name, "usrhash", w->of + PARTITION_USR, ret_error);
}

/* Files beside the disk count where RootHash= leaves the decision open. If there are none, files beside the
 * target of a link to the disk count. A root hash in RootHash= tells nothing about /usr, so /usr must be
 * signed then. */
int raw_find_wanted(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawWanted *ret,
                    char **ret_error)
{
        Wanted *root = ret->of + PARTITION_ROOT, *usr = ret->of + PARTITION_USR;
        const char *value = root_hash ?: "auto", *suffix;
        int r = 0;

        ret->real = fd_name(disk_fd);
        if (ret->real && (suffix = endswith(ret->real, IMAGE_RAW_SUFFIX)))
                ret->real[suffix - ret->real] = 0;
        if (!streq(value, "no"))
                r = read_all_beside(dir_fd, name, ret, ret_error);
        if (r >= 0 && !streq(value, "no") && !root->hash[0] && !usr->hash[0] && ret->real)
                r = read_all_beside(AT_FDCWD, ret->real, ret, ret_error);
        root->value = root->hash[0] && streq(value, "auto") ? root->hash : value;
        usr->value = usr->hash[0] && !streq(value, "signed") ? usr->hash
                     : raw_wanted_hash(ret, PARTITION_ROOT)  ? "signed"
                                                             : value;
        return r;
}

void raw_wanted_clear(RawWanted *w)
{
        for (PartitionRole role = 0; role < RAW_VERITY_MAX; role++)
                free(w->of[role].signature);
        free(w->real);
}

static bool is_signed(const Wanted *w)
{
        return streq(w->value, "signed");
}

const char *raw_wanted_hash(const RawWanted *w, PartitionRole role)
{
        const Wanted *p = role < RAW_VERITY_MAX ? w->of + role : NULL;

        return !p                             ? NULL
               : root_hash_is_hex(p->value)   ? p->value
               : p->signature && is_signed(p) ? p->hash
                                              : NULL;
}

/* Whether the disk must not be used without hashes. */
static bool is_required(const Wanted *w)
{
        return !streq(w->value, "no") && !streq(w->value, "auto");
}

/* --- what there is ------------------------------------------------------------------------------------- */

/* Reads a partition with a signature: JSON text, followed by NUL bytes. -ENODATA if the partition is still
 * empty. */
static int read_signature(int disk_fd, const Partition *p, char ret_hash[static ROOT_HASH_LENGTH + 1],
                          char **ret_signature)
{
        size_t size = MIN(p->size, SIGNATURE_MAX);
        _cleanup_free_ char *text = malloc(size + 1);
        const char *hash, *signature;
        int r = -EUCLEAN;

        OOM_CHECK(text);
        ssize_t n = pread(disk_fd, text, size, (off_t) p->offset);
        if (n < 0)
                return -errno;
        text[n] = 0;
        if (text[0] == 0)
                return -ENODATA;
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (json_unpack(json, "{ss ss}", "rootHash", &hash, "signature", &signature) >= 0 &&
            root_hash_is_hex(hash)) {
                for (size_t i = 0; i <= strlen(hash); i++)
                        ret_hash[i] = (char) tolower(hash[i]);
                *ret_signature = strdup(signature);
                r = *ret_signature ? 0 : -ENOMEM;
        }
        json_decref(json);
        return r;
}

static int check_signature(const char *what, const char *hash, const char *signature, size_t size,
                           char **ret_error)
{
        const VerityModule *module;
        int r = raw_load_verity(&module, ret_error);

        if (r >= 0)
                r = module->check_signature(hash, signature, size, ret_error);
        if (r == -EKEYREJECTED)
                return set_failure(ret_error, r,
                                   "%s is signed by nobody whose certificate is in /etc/verity.d.", what);
        return r;
}

/* Opens the file NAME.verity, from which the kernel can make a loop device. */
static int open_hashes(int dir_fd, const char *name, const char *real, Partition *ret, char **ret_error)
{
        int fd = hash_file_open_tree(dir_fd, name);

        if (fd == -ENOENT && real)
                fd = hash_file_open_tree(AT_FDCWD, real);
        if (fd == -ENOENT)
                return fd;
        if (fd < 0 || raw_size(fd, &ret->size) < 0) {
                fd_close(fd);
                return set_failure(ret_error, -EUCLEAN,
                                   "'%s.verity', which stands beside the disk, cannot be read.", name);
        }
        return fd;
}

/* Finds the hashes and the root hash of a partition. If the partition must be signed, checks the
 * signature. */
static int find_hashes(int disk_fd, const Partition parts[static _PART_MAX], const Wanted *wanted,
                       Verity *ret, char **ret_error)
{
        const Partition *signature = parts + PART_SIGNATURE;
        bool is_auto = streq(wanted->value, "auto");
        _cleanup_free_ char *what = raw_describe(parts + PART_DATA), *text = NULL;
        Verity verity = *ret;
        int r = 0;

        OOM_CHECK(what);
        if (streq(wanted->value, "no") || (is_auto && (verity.hashes.size == 0 || signature->size == 0)))
                return 0;
        verity.required = is_required(wanted);
        if (verity.hashes.size == 0)
                return set_failure(ret_error, -EUCLEAN,
                                   "%s has no hashes (dm-verity), and is not to be used without.", what);
        if (!is_signed(wanted) && !is_auto)
                snprintf(verity.hash, sizeof(verity.hash), "%s", wanted->value);
        else if (wanted->signature)
                snprintf(verity.hash, sizeof(verity.hash), "%s", wanted->hash);
        else if (signature->size == 0)
                return set_failure(ret_error, -EUCLEAN, "%s is not signed.", what);
        else
                r = read_signature(disk_fd, signature, verity.hash, &text);
        if (r == -ENODATA && is_auto)
                return 0;
        if (r == -EUCLEAN || r == -ENODATA)
                return set_failure(ret_error, r, "%s has a signature that cannot be understood.", what);
        if (r >= 0 && is_signed(wanted) && wanted->hash[0] && !streq(verity.hash, wanted->hash))
                return set_failure(ret_error, -EKEYREJECTED,
                                   "%s is signed with another root hash than stands beside it.", what);
        if (r >= 0 && is_signed(wanted))
                r = check_signature(what, verity.hash, wanted->signature ?: text, wanted->size, ret_error);
        if (r >= 0)
                *ret = verity;
        return r;
}

int raw_find_hashes(int disk_fd, int dir_fd, const char *name, const Table *table, const RawWanted *wanted,
                    RawDisk *disk, char **ret_error)
{
        int r = 0;

        for (PartitionRole role = 0; role < RAW_VERITY_MAX && r >= 0; role++) {
                const Partition *parts = table->partitions[role];
                const Wanted *w = wanted->of + role;
                Verity *verity = disk->verity + role;
                *verity = (Verity){ .hashes = parts[PART_HASHES], .fd = disk_fd };
                if (parts[PART_DATA].size == 0 && raw_wanted_hash(wanted, role))
                        return set_failure(ret_error, -EUCLEAN,
                                           "The disk has no partition whose root hash is '%s'.", w->value);
                if (parts[PART_DATA].size == 0)
                        continue;
                if (parts[PART_DATA].number == 0 && is_required(w)) {
                        disk->hashes_fd = verity->fd = open_hashes(dir_fd, name, wanted->real,
                                                                   &verity->hashes, ret_error);
                        if (verity->fd < 0 && verity->fd != -ENOENT)
                                return verity->fd;
                }
                r = find_hashes(disk_fd, parts, w, verity, ret_error);
        }
        return r;
}

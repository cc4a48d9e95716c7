/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/fd.h"
#include "state/claim.h"
#include "state/record.h"

#define HOLDER_MAX 300U

void claim_users_path(uid_t base, char ret[static CLAIM_MAX])
{
        snprintf(ret, CLAIM_MAX, "users/%u", base);
}

static bool holds(int run_fd, const char *holder, const char *path)
{
        _cleanup_record_ Record record = {};
        char users[CLAIM_MAX];

        _cleanup_close_ int fd = dir_open_at(run_fd, holder);
        if (fd < 0 || record_read(fd, &record) < 0)
                return false;
        claim_users_path(record.base, users);
        return streq(path, record.image_claim) || streq(path, users);
}

int claim_look(int run_fd, const char *path, const char *holder, char **ret_other)
{
        _cleanup_free_ char *present = NULL;
        int r;

        r = file_read_at(run_fd, path, HOLDER_MAX, &present, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (streq(present, holder))
                return 1;
        if (!holds(run_fd, present, path))
                return 0;
        if (ret_other)
                *ret_other = TAKE_PTR(present);
        return -EBUSY;
}

/* A machine writes to its image if its root is writable, or if a part of the image is bound ("+"). */
bool claim_writes_image(const Spec *spec)
{
        STRV_FOREACH (entry, spec->bind)
                if (memchr(*entry, '+', strspn(*entry, "+-")))
                        return true;
        return !spec->read_only && spec->volatile_mode == VOLATILE_NO;
}

static void image_claim(const struct stat *st, char ret_path[static CLAIM_MAX])
{
        snprintf(ret_path, CLAIM_MAX, "images/%u:%u-%llu", major(st->st_dev), minor(st->st_dev),
                 (unsigned long long) st->st_ino);
}

int claim_find_writer(int run_fd, const struct stat *image, char **ret_machine)
{
        _cleanup_free_ char *holder = NULL;
        char path[CLAIM_MAX];
        int r;

        image_claim(image, path);
        r = claim_look(run_fd, path, "", &holder);
        if (r != -EBUSY)
                return MIN(r, 0);
        *ret_machine = strdup(strchr(holder, '/') + 1);
        return *ret_machine ? 1 : -ENOMEM;
}

int claim_look_image(int run_fd, const Spec *spec, const char *root, const char *holder,
                     char ret_path[static CLAIM_MAX], char **ret_error)
{
        _cleanup_free_ char *other = NULL;
        struct stat st;
        int r;

        ret_path[0] = 0;
        if (!claim_writes_image(spec))
                return 0;
        if (stat(root, &st) < 0)
                return -errno;
        image_claim(&st, ret_path);
        r = claim_look(run_fd, ret_path, holder, &other);
        if (r != -EBUSY)
                return r;
        *ret_error = strf(
                "Machine '%s' has image '%s' and writes to it: start one of the two with --volatile=overlay "
                "or --read-only, or give each a copy.",
                strchr(other, '/') + 1, spec->image);
        return *ret_error ? r : -ENOMEM;
}

int claim_take(int run_fd, const char *path, const char *holder)
{
        const char *slash = strchr(path, '/');
        _cleanup_free_ char *dir = strndup(path, slash - path);

        OOM_CHECK(dir);
        _cleanup_close_ int fd = dir_open_or_make_at(run_fd, dir, 0755);
        return fd < 0 ? fd : file_write_atomic_at(fd, slash + 1, 0644, holder, strlen(holder));
}

int claim_release(int run_fd, const char *path, const char *holder)
{
        _cleanup_free_ char *present = NULL;
        int r;

        r = file_read_at(run_fd, path, HOLDER_MAX, &present, NULL);
        if (r >= 0 && streq(present, holder))
                r = RET_NERRNO(unlinkat(run_fd, path, 0));
        return r == -ENOENT ? 0 : MIN(r, 0);
}

static void sweep_dir(int run_fd, const char *name)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int fd = dir_open_at(run_fd, name);

        if (fd < 0)
                return;
        dir = fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                _cleanup_free_ char *holder = NULL;
                if (e->d_name[0] != '.' && file_read_at(fd, e->d_name, HOLDER_MAX, &holder, NULL) >= 0 &&
                    faccessat(run_fd, holder, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                        (void) unlinkat(fd, e->d_name, 0);
        }
}

int claim_sweep(int run_fd)
{
        _cleanup_close_ int lock_fd = run_dir_lock(run_fd, false);
        if (lock_fd < 0)
                return lock_fd;
        sweep_dir(run_fd, "users");
        sweep_dir(run_fd, "images");
        return 0;
}

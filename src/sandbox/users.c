/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <pwd.h>

#include "basic/fd.h"
#include "basic/siphash.h"
#include "sandbox/users.h"

#define PICK_TRIES 1000U

/* Any key does: it only keeps our choices from being those of others. */
static const uint8_t pick_key[16] = "mctl user range";

static uid_t candidate(const char *holder, unsigned attempt)
{
        const unsigned slots = (USERS_CONTAINER_MAX - USERS_CONTAINER_MIN) / USERS_RANGE_SIZE + 1;
        char text[300];
        int n = snprintf(text, sizeof(text), "%s/%u", holder, attempt);

        return USERS_CONTAINER_MIN +
               siphash24(text, MIN((size_t) n, sizeof(text) - 1), pick_key) % slots * USERS_RANGE_SIZE;
}

static bool known_to_nss(uid_t base)
{
        /* The first and the last: ranges are handed out whole. */
        return getpwuid(base) || getgrgid(base) || getpwuid(base + USERS_RANGE_SIZE - 1) ||
               getgrgid(base + USERS_RANGE_SIZE - 1);
}

/* 1 when the range is the holder's now, 0 when it is another's. */
static int claim(int run_fd, int users_fd, const char *holder, uid_t base)
{
        _cleanup_free_ char *present = NULL;
        char name[16];
        int r;

        snprintf(name, sizeof(name), "%u", base);
        r = file_read_at(users_fd, name, 300, &present, NULL);
        if (r >= 0 && streq(present, holder))
                return 1;
        /* A holder without a directory is gone, however that came. */
        if (r >= 0 && faccessat(run_fd, present, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        if (r < 0 && r != -ENOENT)
                return r;
        if (known_to_nss(base))
                return 0;
        r = file_write_atomic_at(users_fd, name, 0644, holder, strlen(holder));
        return r < 0 ? r : 1;
}

int users_pick_range(int run_fd, const char *holder, uid_t *ret_base)
{
        _cleanup_close_ int users_fd = dir_open_or_make_at(run_fd, "users", 0755);
        if (users_fd < 0)
                return users_fd;

        for (unsigned i = 0; i < PICK_TRIES; i++) {
                uid_t base = candidate(holder, i);
                int r = claim(run_fd, users_fd, holder, base);
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret_base = base;
                        return 0;
                }
        }
        return -EBUSY;
}

int users_release_range(int run_fd, const char *holder, uid_t base)
{
        _cleanup_free_ char *present = NULL;
        char path[32];
        int r;

        snprintf(path, sizeof(path), "users/%u", base);
        r = file_read_at(run_fd, path, 300, &present, NULL);
        if (r >= 0 && streq(present, holder))
                r = RET_NERRNO(unlinkat(run_fd, path, 0));
        return r == -ENOENT ? 0 : MIN(r, 0);
}

int users_write_maps(pid_t pid, const PrivateUsers *users)
{
        static const char *const files[] = { "uid_map", "gid_map" };
        char path[64], map[64];
        int r;

        snprintf(map, sizeof(map), "0 %u %u\n", users_root(users), users->size);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                snprintf(path, sizeof(path), "/proc/%i/%s", pid, files[i]);
                r = file_poke_at(AT_FDCWD, path, map);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <pwd.h>

#include "basic/fd.h"
#include "basic/siphash.h"
#include "sandbox/users.h"
#include "state/claim.h"

#define PICK_TRIES 1000U

/* An arbitrary key: mctl then chooses other IDs than other programs do. */
static const uint8_t pick_key[16] = "mctl user range";

static uid_t candidate(const char *holder, unsigned attempt)
{
        const unsigned slots = (USERS_CONTAINER_MAX - USERS_CONTAINER_MIN) / USERS_RANGE_SIZE + 1;
        char text[300];
        int n = snprintf(text, sizeof(text), "%s/%u", holder, attempt);

        return USERS_CONTAINER_MIN +
               siphash24(text, MIN((size_t) n, sizeof(text) - 1), pick_key) % slots * USERS_RANGE_SIZE;
}

uid_t users_namespace_owner(const Scope *scope, const Spec *spec)
{
        _cleanup_free_ char *seed = NULL;

        if (!users_root_is_host(&spec->private_users))
                return spec->private_users.base;
        seed = strf("%s/%s", scope->name ?: "", spec->name);
        return USERS_CONTAINER_MIN + siphash24(strna(seed), strlen(strna(seed)), pick_key) %
                                             (USERS_CONTAINER_MAX - USERS_CONTAINER_MIN);
}

static bool known_to_nss(uid_t base)
{
        /* The first and the last ID of the range are enough: other programs assign whole ranges. */
        return getpwuid(base) || getgrgid(base) || getpwuid(base + USERS_RANGE_SIZE - 1) ||
               getgrgid(base + USERS_RANGE_SIZE - 1);
}

int users_propose_range(const Scope *scope, int run_fd, const char *holder, unsigned *attempt,
                        uid_t *ret_base)
{
        /* In two instances, machines of the same name get different ranges. */
        _cleanup_free_ char *seed = strf("%s%s", scope->name ?: "", holder);

        OOM_CHECK(seed);
        while (*attempt < PICK_TRIES) {
                uid_t base = candidate(seed, (*attempt)++);
                char path[CLAIM_MAX];

                claim_users_path(base, path);
                int r = claim_look(run_fd, path, holder, NULL);
                if (r == -EBUSY || (r == 0 && known_to_nss(base)))
                        continue;
                if (r < 0)
                        return r;
                *ret_base = base;
                return 0;
        }
        return -EBUSY;
}

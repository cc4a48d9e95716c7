/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/mempolicy.h>
#include <limits.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "sandbox/limits.h"

#define NUMBERS_MAX 8192U
#define BITS (8 * sizeof(unsigned long))

typedef struct BitSet {
        unsigned long words[NUMBERS_MAX / BITS];
} BitSet;

/* "0-3,7"; the spec has been checked. */
static int parse_numbers(const char *list, BitSet *ret)
{
        _cleanup_free_ char *copy = strdup(list);

        OOM_CHECK(copy);
        *ret = (BitSet){};
        for (char *state, *range = strtok_r(copy, ", ", &state); range; range = strtok_r(NULL, ", ", &state)) {
                char *dash = strchr(range, '-');
                uint64_t from, to;
                int r;

                if (dash)
                        *dash = 0;
                r = parse_u64(range, 0, NUMBERS_MAX - 1, &from);
                if (r >= 0)
                        r = parse_u64(dash ? dash + 1 : range, from, NUMBERS_MAX - 1, &to);
                if (r < 0)
                        return r;
                for (uint64_t i = from; i <= to; i++)
                        ret->words[i / BITS] |= 1UL << (i % BITS);
        }
        return 0;
}

int limits_apply(pid_t pid, const Spec *spec)
{
        for (int i = 0; i < RLIMITS_MAX; i++) {
                const struct rlimit limit = { spec->limits[i].soft, spec->limits[i].hard };
                if (spec->limits[i].set && prlimit(pid, i, &limit, NULL) < 0)
                        return -errno;
        }
        if (spec->oom_score_adjust != INT_MIN) {
                char path[64], value[16];
                snprintf(path, sizeof(path), "/proc/%i/oom_score_adj", pid);
                snprintf(value, sizeof(value), "%i", spec->oom_score_adjust);
                int r = file_poke_at(AT_FDCWD, path, value);
                if (r < 0)
                        return r;
        }
        if (spec->cpu_affinity) {
                BitSet set;
                int r = parse_numbers(spec->cpu_affinity, &set);
                if (r < 0)
                        return r;
                if (sched_setaffinity(pid, sizeof(set), (const cpu_set_t *) &set) < 0)
                        return -errno;
        }
        return 0;
}

int limits_apply_self(const Spec *spec)
{
        static const int policies[_NUMA_POLICY_MAX] = {
                [NUMA_DEFAULT] = MPOL_DEFAULT,       [NUMA_PREFERRED] = MPOL_PREFERRED, [NUMA_BIND] = MPOL_BIND,
                [NUMA_INTERLEAVE] = MPOL_INTERLEAVE, [NUMA_LOCAL] = MPOL_LOCAL,
        };
        static const unsigned long personalities[_PERSONALITY_MAX] = {
                [PERSONALITY_X86] = PER_LINUX32,
                [PERSONALITY_X86_64] = PER_LINUX,
        };

        if (spec->numa_policy != NUMA_DEFAULT) {
                BitSet set = {};
                int r = spec->numa_mask ? parse_numbers(spec->numa_mask, &set) : 0;
                if (r < 0)
                        return r;
                if (syscall(SYS_set_mempolicy, policies[spec->numa_policy], spec->numa_mask ? &set : NULL,
                            spec->numa_mask ? (unsigned long) NUMBERS_MAX : 0UL) < 0)
                        return -errno;
        }
        if (spec->personality != PERSONALITY_NATIVE && personality(personalities[spec->personality]) < 0)
                return -errno;
        return 0;
}

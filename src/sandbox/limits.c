/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "sandbox/limits.h"

/* As long as the kernel's own mask for the highest numbers of processors and nodes that the kernel supports.
 */
#define MASK_BYTES 1024U

static int set_rlimits(pid_t pid, const Spec *spec)
{
        for (int i = 0; i < RLIMITS_MAX; i++) {
                const struct rlimit limit = { spec->limits[i].soft, spec->limits[i].hard };
                if (spec->limits[i].set && prlimit(pid, i, &limit, NULL) < 0)
                        return -errno;
        }
        return 0;
}

int limits_apply(pid_t pid, const Spec *spec)
{
        int r = set_rlimits(pid, spec);

        /* Without CAP_SYS_RESOURCE, the process can lower its limits itself. */
        if (r < 0 && r != -EPERM)
                return r;
        if (spec->oom_score_adjust != INT_MIN) {
                char path[64], value[16];
                snprintf(path, sizeof(path), "/proc/%i/oom_score_adj", pid);
                snprintf(value, sizeof(value), "%i", spec->oom_score_adjust);
                r = file_poke_at(AT_FDCWD, path, value);
                if (r < 0)
                        return r;
        }
        if (spec->cpu_affinity) {
                _Alignas(unsigned long) uint8_t mask[MASK_BYTES];
                r = parse_number_set(spec->cpu_affinity, mask, sizeof(mask), NULL);
                if (r < 0)
                        return r;
                if (sched_setaffinity(pid, sizeof(mask), (const cpu_set_t *) mask) < 0)
                        return -errno;
        }
        return 0;
}

int limits_apply_self(const Spec *spec)
{
        static const int policies[_NUMA_POLICY_MAX] = {
                [NUMA_DEFAULT] = MPOL_DEFAULT, [NUMA_PREFERRED] = MPOL_PREFERRED,
                [NUMA_BIND] = MPOL_BIND,       [NUMA_INTERLEAVE] = MPOL_INTERLEAVE,
                [NUMA_LOCAL] = MPOL_LOCAL,
        };
        static const unsigned long personalities[_PERSONALITY_MAX] = {
                [PERSONALITY_X86] = PER_LINUX32,
                [PERSONALITY_X86_64] = PER_LINUX,
        };

        int r = set_rlimits(0, spec);
        if (r < 0)
                return r;
        if (spec->numa_policy != NUMA_DEFAULT) {
                _Alignas(unsigned long) uint8_t mask[MASK_BYTES];
                r = spec->numa_mask ? parse_number_set(spec->numa_mask, mask, sizeof(mask), NULL) : 0;
                if (r < 0)
                        return r;
                if (syscall(SYS_set_mempolicy, policies[spec->numa_policy], spec->numa_mask ? mask : NULL,
                            spec->numa_mask ? MASK_BYTES * 8UL : 0UL) < 0)
                        return -errno;
        }
        if (spec->personality != PERSONALITY_NATIVE && personality(personalities[spec->personality]) < 0)
                return -errno;
        return 0;
}

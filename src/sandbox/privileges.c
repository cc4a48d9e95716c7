/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "basic/capability.h"
#include "sandbox/privileges.h"

#define BIT(n) CAPABILITY_BIT(n)

/* Enough to run a whole system in its own namespaces. */
static const uint64_t system_set = BIT(CAP_AUDIT_CONTROL) | BIT(CAP_AUDIT_WRITE) | BIT(CAP_CHOWN) |
                                   BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |
                                   BIT(CAP_FSETID) | BIT(CAP_IPC_OWNER) | BIT(CAP_KILL) | BIT(CAP_LEASE) |
                                   BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MKNOD) | BIT(CAP_NET_ADMIN) |
                                   BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_BROADCAST) | BIT(CAP_NET_RAW) |
                                   BIT(CAP_SETFCAP) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_SETUID) |
                                   BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_BOOT) | BIT(CAP_SYS_CHROOT) |
                                   BIT(CAP_SYS_NICE) | BIT(CAP_SYS_PTRACE) | BIT(CAP_SYS_RESOURCE) |
                                   BIT(CAP_SYS_TTY_CONFIG);

/* Enough for the usual service that starts as root. */
static const uint64_t application_set = BIT(CAP_AUDIT_WRITE) | BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) |
                                        BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_MKNOD) |
                                        BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_RAW) | BIT(CAP_SETFCAP) |
                                        BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_SETUID) |
                                        BIT(CAP_SYS_CHROOT);

uint64_t capability_bounding_set(const Spec *spec)
{
        uint64_t set = spec->boot ? system_set : application_set;

        if (spec->profile == PROFILE_NESTING)
                set |= system_set | BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_SYSLOG);
        if (spec->profile == PROFILE_PRIVILEGED)
                set = CAPABILITY_ALL;
        /* Without a network namespace, the machine has no network to administrate. */
        if (!spec->private_network && spec->profile != PROFILE_PRIVILEGED)
                set &= ~BIT(CAP_NET_ADMIN);
        return (set | spec->capability | spec->ambient_capability) & ~spec->drop_capability;
}

static int set_capabilities(uint64_t permitted, uint64_t inheritable)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        /* Limits the set to the capabilities of this process: with PrivateUsers=no, a machine has no more
         * than the host. */
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (unsigned i = 0; i < 2; i++) {
                data[i].permitted &= (uint32_t) (permitted >> (32 * i));
                data[i].effective = data[i].permitted;
                data[i].inheritable = data[i].permitted & (uint32_t) (inheritable >> (32 * i));
        }
        return RET_NERRNO(syscall(SYS_capset, &header, data));
}

/* All capabilities that mctl knows, and all that a newer kernel knows. */
static uint64_t known_capabilities(void)
{
        uint64_t known = (BIT(CAP_LAST_CAP) << 1) - 1;

        for (unsigned i = CAP_LAST_CAP + 1; i < 64 && prctl(PR_CAPBSET_READ, i) >= 0; i++)
                known |= BIT(i);
        return known;
}

int privileges_become(const Person *person, uint64_t bounding)
{
        const uint64_t known = known_capabilities();

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        for (unsigned i = 0; i < 64 && known >> i; i++)
                if (!(bounding & BIT(i)) && prctl(PR_CAPBSET_DROP, i) < 0 && errno != EINVAL)
                        return -errno; /* an older kernel knows fewer capabilities */
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(person->n_groups, person->groups) < 0 ||
            setresgid(person->gid, person->gid, person->gid) < 0 ||
            setresuid(person->uid, person->uid, person->uid) < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
                return -errno;

        /* To load a filter, a process needs CAP_SYS_ADMIN, which a user other than root would have only in
         * the reserve. */
        return person->uid == 0
                       ? 0
                       : set_capabilities(BIT(CAP_SYS_ADMIN) | BIT(CAP_SETPCAP) | (bounding & known), 0);
}

int privileges_drop(const Person *person, uint64_t bounding, uint64_t ambient)
{
        const uint64_t known = known_capabilities();
        int r;

        ambient &= known;
        r = set_capabilities(person->uid == 0 ? bounding & known : ambient, ambient);
        for (unsigned i = 0; i < 64 && r >= 0; i++)
                if ((ambient & BIT(i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                        r = -errno;
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-seccomp PROFILE CAPABILITIES native|x86 [CALL…]: compiles the filter of a machine, and writes it to
 * standard output. The build runs it for the profiles, and for the profile "registryd", which is the filter
 * of mctl-registryd. Later, it runs when a machine needs a filter that is not in the cache. See
 * sandbox/filter.h. */

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/capability.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/str.h"
#include "sandbox/syscalls.h"

#define CALLS_MAX         1024
#define TIOCSTI_REQUEST   0x5412U
#define TIOCLINUX_REQUEST 0x541CU

/* Families of sockets that network namespaces do not isolate. Such a socket reaches the hypervisor, other
 * machines, or rarely used parts of the kernel (address_families(7)). */
static const struct {
        const char *name;
        int family;
} socket_families[] = {
        { "socket:alg", AF_ALG },     { "socket:bluetooth", AF_BLUETOOTH },
        { "socket:ib", AF_IB },       { "socket:isdn", AF_ISDN },
        { "socket:nfc", AF_NFC },     { "socket:qipcrtr", AF_QIPCRTR },
        { "socket:vsock", AF_VSOCK },
};

/* The decision for each call; a later decision replaces an earlier one. Rules are passed to libseccomp at
 * the end, one for each call. */
typedef struct Decisions {
        bool families[ELEMENTSOF(socket_families)]; /* that are allowed */
        struct {
                int number;
                bool allowed;
        } calls[CALLS_MAX];
        size_t n;
} Decisions;

static int decide(Decisions *d, int number, bool allowed)
{
        for (size_t i = 0; i < d->n; i++)
                if (d->calls[i].number == number) {
                        d->calls[i].allowed = allowed;
                        return 0;
                }
        if (d->n == CALLS_MAX)
                return -E2BIG;
        d->calls[d->n].number = number;
        d->calls[d->n++].allowed = allowed;
        return 0;
}

/* Decides for a call, or for all calls of a group. -ESRCH if neither libseccomp nor mctl knows the name. */
static int decide_name(Decisions *d, const char *name, bool allowed)
{
        if (name[0] == '@') {
                const SyscallGroup *group = syscall_group_find(name);
                _cleanup_free_ char *calls = group ? strdup(group->calls) : NULL;

                if (!group)
                        return -ESRCH;
                OOM_CHECK(calls);
                for (char *state, *word = strtok_r(calls, " ", &state); word;
                     word = strtok_r(NULL, " ", &state)) {
                        int r = decide_name(d, word, allowed);
                        if (r < 0 && r != -ESRCH) /* a call that this libseccomp does not know */
                                return r;
                }
                return 0;
        }

        int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR)
                number = syscall_number_fallback(name);
        if (number < 0 && number >= -1)
                return -ESRCH;
        /* below -1: a known call of other architectures */
        return number < 0 ? 0 : decide(d, number, allowed);
}

typedef struct Widening {
        uint64_t capabilities; /* any of these */
        const char *calls;
} Widening;

/* Calls that are allowed with a capability. Without the capability, the kernel would refuse them as well,
 * but only after it has read the arguments. */
static const Widening widenings[] = {
        { CAPABILITY_BIT(CAP_SYS_ADMIN),
          "@mount setns unshare quotactl quotactl_fd fanotify_init fanotify_mark" },
        { CAPABILITY_BIT(CAP_SYS_CHROOT), "chroot" },
        { CAPABILITY_BIT(CAP_SYS_TIME), "@clock" },
        { CAPABILITY_BIT(CAP_SYS_MODULE), "@module" },
        { CAPABILITY_BIT(CAP_SYS_RAWIO), "@raw-io" },
        { CAPABILITY_BIT(CAP_SYS_PACCT), "acct" },
        { CAPABILITY_BIT(CAP_SYS_PTRACE), "@debug" },
        { CAPABILITY_BIT(CAP_SYS_BOOT), "reboot" },
        { CAPABILITY_BIT(CAP_SYSLOG), "syslog" },
        { CAPABILITY_BIT(CAP_SYS_TTY_CONFIG), "vhangup" },
        { CAPABILITY_BIT(CAP_BPF), "bpf" },
        { CAPABILITY_BIT(CAP_PERFMON), "perf_event_open" },
};

static int decide_profile(Decisions *d, const char *profile, uint64_t capabilities)
{
        int r;

        r = decide_name(d, "@refused", false);
        if (r >= 0)
                r = decide_name(d, "@machine", true);
        /* A tracer in a machine reaches only processes of the machine. Before Linux 4.8, a tracer could
         * evade the filter; mctl needs a newer kernel. */
        if (r >= 0)
                r = decide_name(d, "ptrace", true);
        for (size_t i = 0; i < ELEMENTSOF(widenings) && r >= 0; i++)
                if (capabilities & widenings[i].capabilities) {
                        _cleanup_free_ char *calls = strdup(widenings[i].calls);
                        OOM_CHECK(calls);
                        for (char *state, *word = strtok_r(calls, " ", &state); word && r >= 0;
                             word = strtok_r(NULL, " ", &state))
                                r = decide_name(d, word, true) == -ENOMEM ? -ENOMEM : 0;
                }
        if (r >= 0 && !(capabilities & CAPABILITY_BIT(CAP_PERFMON)))
                r = decide_name(d, "perf_event_open", false); /* @debug has it as well */

        if (r >= 0 && streq(profile, "nesting")) {
                r = decide_name(d, "@keyring", true);
                if (r >= 0)
                        r = decide_name(d, "bpf", true);
                if (r >= 0)
                        r = decide_name(d, "userfaultfd", true);
        }
        if (r >= 0 && streq(profile, "strict")) {
                static const char *const refused[] = {
                        "bpf",    "userfaultfd",      "@keyring",         "perf_event_open",
                        "ptrace", "process_vm_readv", "process_vm_writev"
                };
                for (size_t i = 0; i < ELEMENTSOF(refused) && r >= 0; i++)
                        r = decide_name(d, refused[i], false);
        }
        return r;
}

/* The registry enters machines, and makes neither mounts nor namespaces. */
static int decide_registryd(Decisions *d)
{
        static const struct {
                const char *name;
                bool allowed;
        } decisions[] = {
                { "@refused", false },       { "@machine", true },
                { "chroot", true },          { "setns", true },
                { "personality", false },    { "process_vm_readv", false },
                { "sched_setattr", false },  { "process_vm_writev", false },
                { "sched_setparam", false }, { "sched_setscheduler", false },
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(decisions) && r >= 0; i++)
                r = decide_name(d, decisions[i].name, decisions[i].allowed);
        return r;
}

static int decide_family(Decisions *d, const char *name, bool allowed)
{
        for (size_t i = 0; i < ELEMENTSOF(socket_families); i++)
                if (streq(name, socket_families[i].name)) {
                        d->families[i] = allowed;
                        return 0;
                }
        return -ESRCH;
}

static int decide_user(Decisions *d, char **words)
{
        STRV_FOREACH (word, words) {
                bool refuse = **word == '~';
                int r = startswith(*word + refuse, "socket:") ? decide_family(d, *word + refuse, !refuse)
                                                              : decide_name(d, *word + refuse, !refuse);
                if (r == -ESRCH)
                        return log_error_return(r, "There is no system call, group or socket family '%s'.",
                                                *word + refuse);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int new_filter(uint32_t default_action, bool x86, scmp_filter_ctx *ret)
{
        scmp_filter_ctx filter = seccomp_init(default_action);
        int r;

        OOM_CHECK(filter);
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r >= 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r >= 0 && x86)
                r = seccomp_arch_add(filter, SCMP_ARCH_X86);
        if (r < 0)
                seccomp_release(filter);
        else
                *ret = filter;
        return r;
}

/* Writes a program to standard output. An instruction of zeros separates programs. */
static int export_filter(scmp_filter_ctx filter, bool last)
{
        static const struct sock_filter separator = {};
        int r = seccomp_export_bpf(filter, STDOUT_FILENO);

        seccomp_release(filter);
        if (r < 0)
                return log_error_errno(r, "Failed to write the program");
        return last ? 0 : fd_write_all(STDOUT_FILENO, &separator, sizeof(separator));
}

/* Calls that no group has fail with ENOSYS, and refused calls with EPERM. Programs can thus tell missing
 * calls from forbidden ones. */
static int write_calls(const Decisions *d, bool x86)
{
        scmp_filter_ctx filter;
        int r;

        r = new_filter(SCMP_ACT_ERRNO(ENOSYS), x86, &filter);
        for (size_t i = 0; i < d->n && r >= 0; i++) {
                r = seccomp_rule_add(filter, d->calls[i].allowed ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM),
                                     d->calls[i].number, 0);
                /* libseccomp knows calls that are newer than itself by their native number only. With two
                 * architectures, such calls keep the default action. */
                if (x86 && r == -EFAULT)
                        r = 0;
        }
        return r < 0 ? log_error_errno(r, "Failed to compile the filter") : export_filter(filter, false);
}

/* Memory of the registry is never both writable and executable, and the registry has sockets of AF_UNIX
 * only. */
static int add_registryd_rules(scmp_filter_ctx filter)
{
        static const int calls[] = { SCMP_SYS(socket), SCMP_SYS(socketpair) };
        static const int protections[] = { SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect) };
        const uint32_t forbid = SCMP_ACT_ERRNO(EPERM);
        int r;

        r = seccomp_rule_add(filter, forbid, SCMP_SYS(mmap), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC));
        if (r >= 0)
                r = seccomp_rule_add(filter, forbid, SCMP_SYS(shmat), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, SHM_EXEC, SHM_EXEC));
        for (size_t i = 0; i < ELEMENTSOF(protections) && r >= 0; i++)
                r = seccomp_rule_add(filter, forbid, protections[i], 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
        for (size_t i = 0; i < ELEMENTSOF(calls) && r >= 0; i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), calls[i], 1,
                                     SCMP_A0(SCMP_CMP_NE, AF_UNIX));
        return r;
}

/* Rules about arguments are a program of their own. The kernel ignores the upper half of the registers of
 * these arguments, so the rules must ignore it as well. */
static int write_arguments(const Decisions *d, uint64_t capabilities, bool x86, bool registryd)
{
        static const int calls[] = { SCMP_SYS(socket), SCMP_SYS(socketpair) };
        const uint32_t forbid = SCMP_ACT_ERRNO(EPERM);
        scmp_filter_ctx filter;
        int r;

        r = new_filter(SCMP_ACT_ALLOW, x86, &filter);
        /* TIOCSTI and TIOCLINUX can insert input into a terminal, which may be the administrator's. */
        if (r >= 0)
                r = seccomp_rule_add(filter, forbid, SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCSTI_REQUEST));
        if (r >= 0)
                r = seccomp_rule_add(filter, forbid, SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCLINUX_REQUEST));
        if (r >= 0 && registryd)
                r = add_registryd_rules(filter);
        /* Audit has no namespaces. With EAFNOSUPPORT, programs take the kernel for one without audit, and do
         * not wait for it. */
        if (r >= 0 && !registryd)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 2,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, AF_NETLINK),
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffffU, NETLINK_AUDIT));
        /* EAFNOSUPPORT is also the answer of a kernel that is built without the family. */
        for (size_t i = 0; i < ELEMENTSOF(socket_families) * ELEMENTSOF(calls) && r >= 0; i++)
                if (!d->families[i / 2] && !registryd)
                        r = seccomp_rule_add(
                                filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), calls[i % 2], 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, socket_families[i / 2].family));
        /* Without CAP_SYS_ADMIN, a machine makes no namespaces. A user namespace would grant that
         * capability, so it is refused as well. The flags of clone3() are behind a pointer that a filter
         * cannot read: clone3() fails with ENOSYS, and libraries use clone() instead. */
        if (r >= 0 && !(capabilities & CAPABILITY_BIT(CAP_SYS_ADMIN))) {
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
                if (r >= 0)
                        r = seccomp_rule_add(filter, forbid, SCMP_SYS(clone), 1,
                                             SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
        }
        return r < 0 ? log_error_errno(r, "Failed to compile the filter") : export_filter(filter, true);
}

int main(int argc, char *argv[])
{
        Decisions decisions = {};
        int r;

        log_open();
        if (argc < 4 || isatty(STDOUT_FILENO)) {
                log_error("mctl-seccomp PROFILE CAPABILITIES native|x86 [CALL…] > PROGRAM");
                return EXIT_FAILURE;
        }
        uint64_t capabilities = strtoull(argv[2], NULL, 16);
        bool x86 = streq(argv[3], "x86"), registryd = streq(argv[1], "registryd");

        r = registryd ? decide_registryd(&decisions) : decide_profile(&decisions, argv[1], capabilities);
        if (r >= 0)
                r = decide_user(&decisions, argv + 4);
        if (r >= 0)
                r = write_calls(&decisions, x86);
        if (r >= 0)
                r = write_arguments(&decisions, capabilities, x86, registryd);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

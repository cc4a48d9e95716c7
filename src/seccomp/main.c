/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-seccomp PROFILE CAPABILITIES native|x86 [CALL…]: compiles the filter of a machine and writes it to standard
 * output. When mctl is built, for the profiles; later, when a machine wants another one. See sandbox/filter.h. */

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <seccomp.h>
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

/* What is decided for each call; libseccomp is told at the end, when nothing is said twice. */
typedef struct Decisions {
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

/* Decides for a call, or for all of a group. -ESRCH for a name that is neither. */
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
                        if (r < 0 && r != -ESRCH) /* calls of other architectures */
                                return r;
                }
                return 0;
        }

        int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR)
                number = syscall_number_fallback(name);
        if (number < 0 && number >= -1)
                return -ESRCH;
        return number < 0 ? 0 : decide(d, number, allowed); /* below: known, but not of this architecture */
}

typedef struct Widening {
        uint64_t capabilities; /* any of them */
        const char *calls;
} Widening;

/* What comes with a capability: without it, the kernel would refuse as well, after looking at the arguments. */
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
        /* A tracer inside sees only what is inside; kernels before 4.8 let it evade filters, ours are newer. */
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
                r = decide_name(d, "perf_event_open", false); /* in @debug, too */

        if (r >= 0 && streq(profile, "nesting")) {
                r = decide_name(d, "@keyring", true);
                if (r >= 0)
                        r = decide_name(d, "bpf", true);
                if (r >= 0)
                        r = decide_name(d, "userfaultfd", true);
        }
        if (r >= 0 && streq(profile, "strict")) {
                static const char *const refused[] = { "io_uring_setup",    "io_uring_enter",
                                                       "io_uring_register", "bpf",
                                                       "userfaultfd",       "@keyring",
                                                       "perf_event_open",   "ptrace",
                                                       "process_vm_readv",  "process_vm_writev" };
                for (size_t i = 0; i < ELEMENTSOF(refused) && r >= 0; i++)
                        r = decide_name(d, refused[i], false);
        }
        return r;
}

static int decide_user(Decisions *d, char **words)
{
        STRV_FOREACH (word, words) {
                bool refuse = **word == '~';
                int r = decide_name(d, *word + refuse, !refuse);
                if (r == -ESRCH)
                        return log_error_return(r, "There is no system call or group '%s'.", *word + refuse);
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

/* libseccomp writes to descriptors only; what is read back is written to ours, with a mark between programs. */
static int export_filter(scmp_filter_ctx filter, bool last)
{
        static const struct sock_filter separator = {};
        int r = seccomp_export_bpf(filter, STDOUT_FILENO);

        seccomp_release(filter);
        if (r < 0)
                return log_error_errno(r, "Failed to write the program");
        return last ? 0 : fd_write_all(STDOUT_FILENO, &separator, sizeof(separator));
}

/* Unknown calls do not exist, known ones that are refused are forbidden: programs can tell the difference. */
static int write_calls(const Decisions *d, bool x86)
{
        scmp_filter_ctx filter;
        int r;

        r = new_filter(SCMP_ACT_ERRNO(ENOSYS), x86, &filter);
        for (size_t i = 0; i < d->n && r >= 0; i++) {
                r = seccomp_rule_add(filter, d->calls[i].allowed ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM),
                                     d->calls[i].number, 0);
                /* The library knows calls newer than itself by their native number only: with two architectures they
                 * stay with the default. */
                if (x86 && r == -EFAULT)
                        r = 0;
        }
        return r < 0 ? log_error_errno(r, "Failed to compile the filter") : export_filter(filter, false);
}

/* What depends on arguments is in a program of its own. The upper half of a register is nothing that the kernel looks
 * at for these, so nothing that we may look at. */
static int write_arguments(uint64_t capabilities, bool x86)
{
        const uint32_t forbid = SCMP_ACT_ERRNO(EPERM);
        scmp_filter_ctx filter;
        int r;

        r = new_filter(SCMP_ACT_ALLOW, x86, &filter);
        /* Keys pressed by nobody, on a terminal that may be the administrator's. */
        if (r >= 0)
                r = seccomp_rule_add(filter, forbid, SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCSTI_REQUEST));
        if (r >= 0)
                r = seccomp_rule_add(filter, forbid, SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCLINUX_REQUEST));
        /* Audit has no namespaces; what does not exist is not waited for. */
        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 2,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, AF_NETLINK),
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffffU, NETLINK_AUDIT));
        /* Without CAP_SYS_ADMIN nobody makes namespaces; that of users would be the way round. The flags of clone3()
         * are behind a pointer, so it does not exist, and libraries use clone(). */
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

        if (argc < 4 || isatty(STDOUT_FILENO)) {
                log_error("mctl-seccomp PROFILE CAPABILITIES native|x86 [CALL…] > PROGRAM");
                return EXIT_FAILURE;
        }
        uint64_t capabilities = strtoull(argv[2], NULL, 16);
        bool x86 = streq(argv[3], "x86");

        r = decide_profile(&decisions, argv[1], capabilities);
        if (r >= 0)
                r = decide_user(&decisions, argv + 4);
        if (r >= 0)
                r = write_calls(&decisions, x86);
        if (r >= 0)
                r = write_arguments(capabilities, x86);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

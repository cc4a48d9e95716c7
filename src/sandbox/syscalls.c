/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox/syscalls.h"
#include "basic/str.h"

/* Groups that have a name in systemd.exec(5) have the meaning they have there. @machine has the calls that
 * each machine may use. */
const SyscallGroup syscall_groups[] = {
        { "@machine",
          "@basic-io @chown @default @file-system @io-event @ipc @network-io @process @resources "
          "@setuid @signal @sync @timer arch_prctl brk capget capset close_range copy_file_range "
          "fadvise64 fadvise64_64 flock get_mempolicy getcpu getpriority io_cancel io_destroy io_getevents "
          "io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get kcmp madvise "
          "mincore mprotect mremap msync name_to_handle_at personality pkey_alloc "
          "pkey_free pkey_mprotect process_madvise process_mrelease readahead readdir remap_file_pages "
          "sched_get_priority_max sched_get_priority_min sched_getattr sched_getparam sched_getscheduler "
          "sched_rr_get_interval sched_rr_get_interval_time64 seccomp sendfile sendfile64 setdomainname "
          "setfsgid setfsgid32 setfsuid setfsuid32 sethostname setpgid setsid splice sysinfo tee umask "
          "uname uselib vmsplice landlock_create_ruleset landlock_add_rule landlock_restrict_self "
          "cachestat fchmodat2 map_shadow_stack mseal statmount listmount lsm_get_self_attr "
          "lsm_list_modules lsm_set_self_attr setxattrat getxattrat listxattrat removexattrat mlock "
          "mlock2 mlockall munlock munlockall" },
        { "@aio", "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit "
                  "io_uring_enter io_uring_register io_uring_setup" },
        { "@basic-io",
          "_llseek close close_range dup dup2 dup3 llseek lseek pread64 preadv preadv2 pwrite64 pwritev "
          "pwritev2 read readv write writev" },
        { "@chown", "chown chown32 fchown fchown32 fchownat lchown lchown32" },
        { "@clock",
          "adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday stime" },
        { "@default",
          "brk cacheflush clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
          "clock_nanosleep_time64 execve exit exit_group futex futex_time64 futex_waitv futex_wake "
          "futex_wait futex_requeue get_robust_list get_thread_area getegid getegid32 geteuid geteuid32 "
          "getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getrandom getresgid "
          "getresgid32 getresuid getresuid32 getrlimit getsid gettid gettimeofday getuid getuid32 "
          "membarrier mmap mmap2 mprotect munmap nanosleep pause prlimit64 restart_syscall "
          "riscv_flush_icache riscv_hwprobe rseq rt_sigreturn sched_getaffinity sched_yield "
          "set_robust_list set_thread_area set_tid_address set_tls sigreturn time ugetrlimit uretprobe" },
        { "@file-system",
          "access chdir chmod close creat faccessat faccessat2 fallocate fchdir fchmod fchmodat fcntl "
          "fcntl64 fgetxattr flistxattr fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 "
          "ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr inotify_add_watch "
          "inotify_init inotify_init1 inotify_rm_watch lgetxattr link linkat listxattr llistxattr "
          "lremovexattr lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat newfstatat oldfstat oldlstat "
          "oldstat open openat openat2 readlink readlinkat removexattr rename renameat renameat2 rmdir "
          "setxattr stat stat64 statfs statfs64 statx symlink symlinkat truncate truncate64 unlink "
          "unlinkat utime utimensat utimensat_time64 utimes" },
        { "@io-event",
          "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 "
          "epoll_wait epoll_wait_old eventfd eventfd2 poll ppoll ppoll_time64 pselect6 pselect6_time64 "
          "select" },
        { "@ipc",
          "ipc memfd_create mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
          "mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 "
          "process_vm_readv process_vm_writev semctl semget semop semtimedop semtimedop_time64 shmat "
          "shmctl shmdt shmget" },
        { "@keyring", "add_key keyctl request_key" },
        { "@module", "delete_module finit_module init_module" },
        { "@mount",
          "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree open_tree_attr "
          "pivot_root umount umount2" },
        { "@network-io",
          "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
          "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall "
          "socketpair" },
        { "@process",
          "arch_prctl capget clone clone3 execveat fork getrusage kill pidfd_getfd pidfd_open "
          "pidfd_send_signal prctl rt_sigqueueinfo rt_tgsigqueueinfo tgkill times tkill vfork wait4 "
          "waitid waitpid" },
        { "@raw-io", "ioperm iopl pciconfig_iobase pciconfig_read pciconfig_write" },
        { "@resources",
          "ioprio_set mbind migrate_pages move_pages nice sched_setaffinity sched_setattr sched_setparam "
          "sched_setscheduler set_mempolicy set_mempolicy_home_node setpriority setrlimit" },
        { "@setuid",
          "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid "
          "setresuid32 setreuid setreuid32 setuid setuid32" },
        { "@signal",
          "rt_sigaction rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait "
          "rt_sigtimedwait_time64 sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask "
          "sigsuspend" },
        { "@sync", "fdatasync fsync msync sync sync_file_range sync_file_range2 syncfs" },
        { "@timer", "alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime "
                    "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime "
                    "timerfd_gettime64 timerfd_settime timerfd_settime64 times" },
        { "@debug",
          "ptrace process_vm_readv process_vm_writev pidfd_getfd perf_event_open rtas s390_runtime_instr "
          "sys_debug_setcontext" },
        /* Known calls that no machine may use by default. A refused call fails with EPERM, and not as a
           missing one. */
        { "@refused",
          "@clock @keyring @module @mount @raw-io acct bpf create_module fanotify_init fanotify_mark "
          "get_kernel_syms io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load "
          "lookup_dcookie modify_ldt nfsservctl open_by_handle_at perf_event_open ptrace query_module "
          "quotactl quotactl_fd reboot setns swapoff swapon syslog unshare userfaultfd ustat vhangup "
          "vm86 vm86old sysfs _sysctl" },
};
const size_t n_syscall_groups = ELEMENTSOF(syscall_groups);

static const struct {
        const char *name;
        int number;
} young_calls[] = {
        { "set_mempolicy_home_node", 450 },
        { "cachestat", 451 },
        { "fchmodat2", 452 },
        { "map_shadow_stack", 453 },
        { "futex_wake", 454 },
        { "futex_wait", 455 },
        { "futex_requeue", 456 },
        { "statmount", 457 },
        { "listmount", 458 },
        { "lsm_get_self_attr", 459 },
        { "lsm_set_self_attr", 460 },
        { "lsm_list_modules", 461 },
        { "mseal", 462 },
        { "setxattrat", 463 },
        { "getxattrat", 464 },
        { "listxattrat", 465 },
        { "removexattrat", 466 },
        { "open_tree_attr", 467 },
};

const SyscallGroup *syscall_group_find(const char *name)
{
        for (size_t i = 0; i < n_syscall_groups; i++)
                if (streq(syscall_groups[i].name, name))
                        return syscall_groups + i;
        return NULL;
}

int syscall_number_fallback(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(young_calls); i++)
                if (streq(young_calls[i].name, name))
                        return young_calls[i].number;
        return -1;
}

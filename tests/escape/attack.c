/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* attack VERB [ARGUMENT…]: what an intruder does inside, in raw system calls. Prints "works", or the name of
 * the error that the kernel gave. What the kernel kills, prints nothing. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fanotify.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define X32_BIT           0x40000000
#define TIOCLINUX_REQUEST 0x541C

static int say(long r)
{
        puts(r >= 0 ? "works" : strerrorname_np(errno));
        return r >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whatever the kernel has open for us, asked without procfs, which the image could fake. */
static int list_fds(void)
{
        for (int fd = 0; fd < 4096; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        printf("%i ", fd);
        putchar('\n');
        return EXIT_SUCCESS;
}

#ifdef __x86_64__
/* getpid() by the door of 32-bit programs, where each number is another call. */
static long call_int80(void)
{
        long r;

        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
        if (r < 0)
                errno = -r;
        return r;
}
#endif

static long press_key(unsigned long request)
{
        char c[] = "\003x";

        return ioctl(STDIN_FILENO, request, c);
}

/* Raises what limits us, as far as root inside may: a failure is what is hoped for. */
static void raise_limits(void)
{
        static const char *const files[] = { "/proc/sys/user/max_inotify_instances",
                                             "/proc/sys/user/max_fanotify_groups",
                                             "/proc/sys/user/max_net_namespaces" };
        const struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY }, files_most = { 1 << 19, 1 << 19 };

        (void) setrlimit(RLIMIT_SIGPENDING, &most);
        (void) setrlimit(RLIMIT_MSGQUEUE, &most);
        (void) setrlimit(RLIMIT_NOFILE, &files_most);
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                int fd = open(files[i], O_WRONLY | O_CLOEXEC);
                if (fd >= 0 && write(fd, "1000000", 7) == 7)
                        (void) close(fd);
        }
}

/* One more of what the kernel counts for a user. */
static long take(const char *what, unsigned n)
{
        struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
        char name[32];

        if (strcmp(what, "inotify") == 0)
                return inotify_init1(IN_CLOEXEC);
        if (strcmp(what, "fanotify") == 0)
                return syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);
        if (strcmp(what, "signals") == 0) {
                sigset_t set;
                sigemptyset(&set);
                sigaddset(&set, SIGRTMIN);
                (void) sigprocmask(SIG_BLOCK, &set, NULL);
                return sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 1 });
        }
        if (strcmp(what, "queues") == 0) {
                snprintf(name, sizeof(name), "hoard-%i-%u", getpid(), n);
                return syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
        }
        if (strcmp(what, "timers") == 0) {
                timer_t timer;
                return timer_create(CLOCK_MONOTONIC, NULL, &timer);
        }
        errno = EINVAL;
        return -1;
}

/* Takes as many as there are, says so, and keeps them. */
static int hoard(const char *what)
{
        unsigned n = 0;

        raise_limits();
        while (n < 1000000 && take(what, n) >= 0)
                n++;
        printf("%s %u\n", strerrorname_np(errno), n);
        fflush(stdout);
        while (pause() < 0)
                ;
        return EXIT_SUCCESS;
}

/* The child only has to be born. */
static long reap(long pid)
{
        if (pid == 0)
                _exit(EXIT_SUCCESS);
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        return pid;
}

static long clone3_user(void)
{
        unsigned long long args[11] = { CLONE_NEWUSER, [4] = SIGCHLD };

        return reap(syscall(SYS_clone3, args, sizeof(args)));
}

static long notify(const char *path, const char *text)
{
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
        long r = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *) &sun, sizeof(sun));
        int error = errno;
        (void) close(fd);
        errno = error;
        return r;
}

static long join(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -1 : setns(fd, 0);
}

/* Swaps two names until the time is over, as often as it can. */
static long swap(const char *a, const char *b, unsigned seconds)
{
        long r;

        (void) alarm(seconds);
        do
                r = syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
        while (r >= 0);
        return r;
}

/* Type "c" or "b", then the numbers: makes a node and opens it. */
static long make_node(const char *type, const char *major, const char *minor)
{
        mode_t mode = (type[0] == 'b' ? S_IFBLK : S_IFCHR) | 0666;

        (void) unlink("/tmp/node");
        if (mknod("/tmp/node", mode, makedev(atoi(major), atoi(minor))) < 0)
                return -1;
        return open("/tmp/node", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* On the host: waits for the first process of a machine while it still runs the launcher's program, but is
 * that user already, and stops it. */
static int catch_launcher(const char *user, unsigned seconds)
{
        char path[64], text[4096], line[32];

        snprintf(line, sizeof(line), "\nUid:\t%s\t", user);
        (void) alarm(seconds);
        for (;;) {
                DIR *dir = opendir("/proc");
                struct dirent *e;

                while (dir && (e = readdir(dir))) {
                        int pid = atoi(e->d_name);
                        FILE *f;
                        size_t n;

                        snprintf(path, sizeof(path), "/proc/%i/comm", pid);
                        if (pid <= 0 || !(f = fopen(path, "re")))
                                continue;
                        n = fread(text, 1, sizeof(text) - 1, f);
                        fclose(f);
                        text[n] = 0;
                        if (strcmp(text, "mctl-launch\n") != 0)
                                continue;
                        snprintf(path, sizeof(path), "/proc/%i/status", pid);
                        if (!(f = fopen(path, "re")))
                                continue;
                        n = fread(text, 1, sizeof(text) - 1, f);
                        fclose(f);
                        text[n] = 0;
                        if (!strstr(text, line) || kill(pid, SIGSTOP) < 0)
                                continue;
                        printf("%i\n", pid);
                        return EXIT_SUCCESS;
                }
                closedir(dir);
        }
}

static int usage(void)
{
        fputs("attack VERB [ARGUMENT…]\n", stderr);
        return 2;
}

int main(int argc, char *argv[])
{
        const char *verb = argc > 1 ? argv[1] : "";
        union bpf_attr attr = {
                .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
        };

        if (strcmp(verb, "fds") == 0)
                return list_fds();
#ifdef __x86_64__
        if (strcmp(verb, "int80") == 0)
                return say(call_int80());
        if (strcmp(verb, "x32") == 0)
                return say(syscall(X32_BIT | SYS_getpid));
#endif
        if (strcmp(verb, "tiocsti") == 0)
                return say(press_key(TIOCSTI));
        /* The kernel looks at the lower half of a request only. */
        if (strcmp(verb, "tiocsti-high") == 0)
                return say(press_key(TIOCSTI | 1UL << 32));
        if (strcmp(verb, "tioclinux") == 0)
                return say(press_key(TIOCLINUX_REQUEST));
        if (strcmp(verb, "io-uring") == 0)
                return say(syscall(SYS_io_uring_setup, 1, (char[256]){ 0 }));
        if (strcmp(verb, "socket") == 0 && argc > 2)
                return say(socket(atoi(argv[2]), SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (strcmp(verb, "socketpair") == 0 && argc > 2)
                return say(socketpair(atoi(argv[2]), SOCK_STREAM, 0, (int[2]){ 0 }));
        /* The kernel looks at the lower half only. */
        if (strcmp(verb, "socket-high") == 0 && argc > 2)
                return say(syscall(SYS_socket, 1UL << 32 | strtoul(argv[2], NULL, 10), SOCK_STREAM, 0));
        if (strcmp(verb, "bpf") == 0)
                return say(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
        if (strcmp(verb, "keyctl") == 0)
                return say(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
        if (strcmp(verb, "userfaultfd") == 0)
                return say(syscall(SYS_userfaultfd, O_CLOEXEC));
        if (strcmp(verb, "unshare") == 0)
                return say(unshare(CLONE_NEWUSER));
        if (strcmp(verb, "clone") == 0)
                return say(reap(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)));
        if (strcmp(verb, "clone3") == 0)
                return say(clone3_user());
        if (strcmp(verb, "setns") == 0 && argc > 2)
                return say(join(argv[2]));
        if (strcmp(verb, "notify") == 0 && argc > 3)
                return say(notify(argv[2], argv[3]));
        if (strcmp(verb, "hoard") == 0 && argc > 2)
                return hoard(argv[2]);
        if (strcmp(verb, "take") == 0 && argc > 2)
                return say(take(argv[2], 0));
        if (strcmp(verb, "flood") == 0 && argc > 3)
                while (notify(argv[2], argv[3]) >= 0 || errno == EAGAIN || errno == ENOBUFS)
                        ;
        if (strcmp(verb, "open") == 0 && argc > 2)
                return say(open(argv[2], O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        if (strcmp(verb, "open-write") == 0 && argc > 2)
                return say(open(argv[2], O_WRONLY | O_NONBLOCK | O_CLOEXEC));
        if (strcmp(verb, "mknod") == 0 && argc > 4)
                return say(make_node(argv[2], argv[3], argv[4]));
        if (strcmp(verb, "whoami") == 0)
                return printf("%u\n", geteuid()) < 0;
        if (strcmp(verb, "swap") == 0 && argc > 4)
                return say(swap(argv[2], argv[3], atoi(argv[4])));
        if (strcmp(verb, "catch") == 0 && argc > 3)
                return catch_launcher(argv[2], atoi(argv[3]));
        if (strcmp(verb, "attach") == 0 && argc > 2)
                return say(ptrace(PTRACE_SEIZE, atoi(argv[2]), 0, 0));
        if (strcmp(verb, "umount") == 0 && argc > 2)
                return say(umount2(argv[2], 0));
        if (strcmp(verb, "remount-writable") == 0 && argc > 2)
                return say(mount(NULL, argv[2], NULL, MS_REMOUNT | MS_BIND, NULL));
        return usage();
}

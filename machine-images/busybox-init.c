/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PID 1 of the busybox image: sends READY=1, reaps processes, and handles the signals of a container
 * manager. Three files are for tests of failing boots. With /etc/init-fail, the init prints the text of the
 * file to stderr and exits with 1. With /etc/init-hang, the init never sends READY=1. With /etc/init-exit,
 * the init sends READY=1 and exits with the number in the file.
 *
 * SIGRTMIN+4, SIGRTMIN+3 and SIGTERM power off. SIGRTMIN+5 and SIGINT reboot. */

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void notify_ready(void)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        static const char message[] = "READY=1\nSTATUS=busybox init up";
        const char *path = getenv("NOTIFY_SOCKET");
        size_t n = path ? strlen(path) : 0;

        if (n < 2 || n >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(sa.sun_path, path, n);
        if (path[0] == '@')
                sa.sun_path[0] = 0;

        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, message, sizeof(message) - 1, MSG_NOSIGNAL, (struct sockaddr *) &sa,
                             offsetof(struct sockaddr_un, sun_path) + n) < 0)
                perror("init: cannot notify");
        close(fd);
}

static ssize_t read_file(const char *path, char *buf, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -1;

        ssize_t n = read(fd, buf, size - 1);
        close(fd);
        buf[n > 0 ? n : 0] = 0;
        return n;
}

static void end(int how)
{
        sync();
        reboot(how);
        /* reboot() returns if this process has no CAP_SYS_BOOT, or is not PID 1 of a PID namespace. */
        _exit(how == RB_AUTOBOOT ? 133 : 0);
}

int main(void)
{
        char buf[4096];
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);

        if (read_file("/etc/init-fail", buf, sizeof(buf)) >= 0) {
                fputs(buf, stderr);
                return 1;
        }

        puts("busybox init up");
        fflush(stdout);

        if (access("/etc/init-hang", F_OK) != 0)
                notify_ready();
        if (read_file("/etc/init-exit", buf, sizeof(buf)) >= 0)
                return atoi(buf);

        for (;;) {
                int sig = sigwaitinfo(&all, NULL);

                if (sig == SIGCHLD)
                        while (waitpid(-1, NULL, WNOHANG) > 0)
                                ;
                else if (sig == SIGRTMIN + 3 || sig == SIGRTMIN + 4 || sig == SIGTERM)
                        end(RB_POWER_OFF);
                else if (sig == SIGRTMIN + 5 || sig == SIGINT)
                        end(RB_AUTOBOOT);
        }
}

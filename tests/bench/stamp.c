/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tells when a program begins, on CLOCK_MONOTONIC in microseconds.
 *
 *   stamp FILE PROGRAM ARGUMENT...   writes the time into FILE and executes PROGRAM
 *   init                             an init: its time goes into STATUS= beside READY=1; ends on a signal.
 *                                    Where nobody waits for that, it prints its time and ends at once.
 *
 * Static and with next to nothing to do, so that what lies between the two is the container manager's. */

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static int stamp(char *argv[])
{
        char text[32];
        int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0)
                return 1;
        int n = snprintf(text, sizeof(text), "%lld\n", now());
        if (write(fd, text, n) != n)
                return 1;
        execv(argv[2], argv + 2);
        perror(argv[2]);
        return 1;
}

static void notify(const char *address, long long began)
{
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        char text[64];
        size_t length = strlen(address);

        if (length == 0 || length >= sizeof(sun.sun_path))
                return;
        memcpy(sun.sun_path, address, length);
        if (address[0] == '@')
                sun.sun_path[0] = 0;
        int n = snprintf(text, sizeof(text), "READY=1\nSTATUS=%lld", began);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, text, n, MSG_NOSIGNAL, (struct sockaddr *) &sun,
                             offsetof(struct sockaddr_un, sun_path) + length) < 0)
                perror("Failed to say that we are ready");
}

static int init(void)
{
        long long began = now();
        const char *address = getenv("NOTIFY_SOCKET");
        sigset_t all;

        if (!address) {
                printf("%lld\n", began);
                return 0;
        }

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        notify(address, began);
        while (sigwaitinfo(&all, NULL) == SIGCHLD)
                ;
        if (getpid() == 1)
                reboot(RB_POWER_OFF);
        return 0;
}

int main(int argc, char *argv[])
{
        const char *name = strrchr(argv[0], '/');

        if (strcmp(name ? name + 1 : argv[0], "init") == 0)
                return init();
        return argc > 2 ? stamp(argv) : 1;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stands where the image has its dynamic loader, and is run as part of whatever program is executed. It
 * keeps that program open in descriptor 9, for a shell that writes to it once nobody runs it any more. */

#include <fcntl.h>
#include <sys/syscall.h>

void _start(void);

static long call(long number, long a, long b, long c)
{
        long r;

        __asm__ volatile("syscall" : "=a"(r) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
        return r;
}

void _start(void)
{
        static char *const argv[] = {
                "sh", "-c", "sleep 1; echo trying; echo evil >>/proc/self/fd/9; echo \"ended with $?\"", 0
        };
        static char *const environment[] = { "PATH=/bin", 0 };
        long fd = call(SYS_open, (long) "/proc/self/exe", O_RDONLY, 0);

        call(SYS_dup2, fd, 9, 0);
        call(SYS_execve, (long) "/bin/sh", (long) argv, (long) environment);
        call(SYS_exit, 1, 0, 0);
}

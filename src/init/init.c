/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-init -- COMMAND [ARGUMENT…]: PID 1 for a command that is no init. mctl-init starts the command,
 * forwards signals to it, and reaps all processes that lose their parent. When the command ends, mctl-init
 * exits with its status, or with 128 plus the number of the signal that ended it.
 *
 * mctl-init runs in trees with any C library, or without one. It therefore uses no C library, and makes its
 * system calls itself. */

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/wait.h>
#include <stddef.h>

#define SIGNALS_ALL           (~0UL)
#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NOT_FOUND      127
#define PATH_LENGTH_MAX       4096

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e)
{
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        long result;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return result;
}

/* The kernel puts the arguments on the stack: their number, their addresses, NULL, the environment, NULL. */
__asm__(".globl _start\n"
        "_start:\n"
        "        xor %ebp, %ebp\n"
        "        mov %rsp, %rdi\n"
        "        and $-16, %rsp\n"
        "        call start\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e)
{
        register long x8 __asm__("x8") = number;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;

        __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
        return x0;
}

__asm__(".globl _start\n"
        "_start:\n"
        "        mov x29, #0\n"
        "        mov x0, sp\n"
        "        bl start\n");
#else
#error "mctl-init knows no way to make system calls on this architecture"
#endif

_Noreturn static void quit(int status)
{
        for (;;)
                call(__NR_exit_group, status, 0, 0, 0, 0);
}

static size_t length(const char *s)
{
        size_t n = 0;
        while (s[n])
                n++;
        return n;
}

static void say(const char *text)
{
        call(__NR_write, 2, (long) text, length(text), 0, 0);
}

static int has_slash(const char *s)
{
        for (; *s; s++)
                if (*s == '/')
                        return 1;
        return 0;
}

static const char *find_path(char **environment)
{
        for (char **e = environment; *e; e++)
                if ((*e)[0] == 'P' && (*e)[1] == 'A' && (*e)[2] == 'T' && (*e)[3] == 'H' && (*e)[4] == '=')
                        return *e + 5;
        return "/usr/bin:/bin";
}

static long try_execute(const char *program, char **argv, char **environment)
{
        return call(__NR_execve, (long) program, (long) argv, (long) environment, 0, 0);
}

/* Like execvpe(3). */
static long execute(char **argv, char **environment)
{
        char program[PATH_LENGTH_MAX];
        long r = -ENOENT;

        if (has_slash(argv[0]))
                return try_execute(argv[0], argv, environment);
        for (const char *p = find_path(environment); *p;) {
                size_t n = 0;

                while (*p && *p != ':' && n < sizeof(program) - 2)
                        program[n++] = *p++;
                while (*p && *p != ':')
                        p++;
                if (*p)
                        p++;
                program[n++] = '/';
                for (const char *s = argv[0]; *s && n < sizeof(program) - 1; s++)
                        program[n++] = *s;
                program[n] = 0;

                long q = try_execute(program, argv, environment);
                if (q != -ENOENT && q != -ENOTDIR)
                        r = q;
        }
        return r;
}

_Noreturn static void become_command(char **argv, char **environment)
{
        unsigned long none = 0;
        long r;

        call(__NR_rt_sigprocmask, SIG_SETMASK, (long) &none, 0, sizeof(none), 0);
        r = execute(argv, environment);
        say("mctl-init: cannot execute ");
        say(argv[0]);
        say(r == -ENOENT ? ": not found\n" : "\n");
        quit(r == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE);
}

/* Reaps all children that have ended. If the command is among them, exits with its status. */
static void reap(long command)
{
        int status;
        long pid;

        while ((pid = call(__NR_wait4, -1, (long) &status, WNOHANG, 0, 0)) > 0)
                if (pid == command)
                        quit((status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f));
}

_Noreturn void start(long *stack);
_Noreturn void start(long *stack)
{
        long argc = stack[0];
        char **argv = (char **) (stack + 1), **environment = argv + argc + 1;
        unsigned long all = SIGNALS_ALL;
        long command;

        if (argc < 2 || argv[1][0] != '-' || argv[1][1] != '-' || argv[1][2] || argc < 3) {
                say("mctl-init -- COMMAND [ARGUMENT...]\n");
                quit(STATUS_CANNOT_EXECUTE);
        }

        call(__NR_rt_sigprocmask, SIG_SETMASK, (long) &all, 0, sizeof(all), 0);
        command = call(__NR_clone, SIGCHLD, 0, 0, 0, 0);
        if (command == 0)
                become_command(argv + 2, environment);
        if (command < 0)
                quit(STATUS_CANNOT_EXECUTE);

        for (;;) {
                long sig = call(__NR_rt_sigtimedwait, (long) &all, 0, 0, sizeof(all), 0);
                if (sig == SIGCHLD)
                        reap(command);
                else if (sig > 0)
                        call(__NR_kill, command, sig, 0, 0, 0);
        }
}

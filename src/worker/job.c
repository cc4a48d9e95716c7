/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/job.h"

#include <inttypes.h>
#include <signal.h>

#include "basic/time.h"

static volatile sig_atomic_t cancelled;

/* SIGTERM may arrive just before a system call that blocks. SIGALRM interrupts that call a second later, and
 * again each second. */
static void on_term(int sig)
{
        (void) sig;
        cancelled = true;
        (void) alarm(1);
}

void job_handle_signals(void)
{
        (void) sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
        (void) sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_term }, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

bool is_cancelled(void)
{
        return cancelled;
}

/* At most one line each 100 ms. */
void tell_progress(uint64_t bytes, uint64_t size)
{
        static uint64_t last;
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (now - last < 100 * USEC_PER_MSEC)
                return;
        last = now;
        printf("{\"progress\":%.4f,\"bytes\":%" PRIu64 "}\n", MIN((double) bytes / (double) size, 1.0),
               bytes);
        fflush(stdout);
}

int path_split(const char *path, char **ret_parent, char **ret_name)
{
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/')
                n--;
        _cleanup_free_ char *copy = strndup(path, n);
        OOM_CHECK(copy);
        char *slash = strrchr(copy, '/');
        if (!slash || !slash[1] || streq(slash + 1, ".") || streq(slash + 1, ".."))
                return -EINVAL;
        _cleanup_free_ char *name = strdup(slash + 1);
        OOM_CHECK(name);
        slash[slash == copy] = 0;
        *ret_parent = TAKE_PTR(copy);
        *ret_name = TAKE_PTR(name);
        return 0;
}

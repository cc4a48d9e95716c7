/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/process.h"
#include "basic/str.h"

#define PROC_FILE_MAX (64U * 1024U)

static int read_proc_file(pid_t pid, const char *name, char **ret)
{
        char path[64];
        int r;

        if (pid == 0)
                snprintf(path, sizeof(path), "/proc/self/%s", name);
        else
                snprintf(path, sizeof(path), "/proc/%i/%s", pid, name);
        r = file_read_at(AT_FDCWD, path, PROC_FILE_MAX, ret, NULL);
        return r == -ENOENT ? -ESRCH : r;
}

/* Reads /proc/PID/stat from its third field on. The second field is the name, which the process can choose
 * freely. */
static int read_stat(pid_t pid, char *ret_state, unsigned long long *ret_start)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_proc_file(pid, "stat", &text);
        if (r < 0)
                return r;

        const char *p = strrchr(text, ')');
        if (!p ||
            sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                   ret_state, ret_start) != 2)
                return -EBADMSG;
        return 0;
}

int process_start_time(pid_t pid, uint64_t *ret_ticks)
{
        unsigned long long start;
        char state;
        int r;

        r = read_stat(pid, &state, &start);
        if (r >= 0)
                *ret_ticks = start;
        return r;
}

bool process_lives(pid_t pid, uint64_t start_ticks)
{
        unsigned long long start;
        char state;

        return read_stat(pid, &state, &start) >= 0 && start == start_ticks && !strchr("ZX", state);
}

int pidfd_to_pid(int fd, pid_t *ret)
{
        _cleanup_free_ char *text = NULL;
        char path[64];
        int pid, r;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%i", fd);
        r = file_read_at(AT_FDCWD, path, PROC_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        const char *p = strstr(text, "\nPid:");
        if (!p || sscanf(p, "\nPid: %i", &pid) != 1)
                return -EBADF;
        if (pid <= 0)
                return -ESRCH;
        *ret = pid;
        return 0;
}

int process_cgroup(pid_t pid, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_proc_file(pid, "cgroup", &text);
        if (r < 0)
                return r;

        for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                const char *p = startswith(line, "0::");
                if (p) {
                        *ret = strndup(p, strcspn(p, "\n"));
                        return *ret ? 0 : -ENOMEM;
                }
        }
        return -ENODATA;
}

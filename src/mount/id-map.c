/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/id-map.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/syscalls.h"

int id_map_write(pid_t pid, uid_t inside, uid_t outside, uid_t size)
{
        static const char *const files[] = { "uid_map", "gid_map" };
        char path[64], map[64];
        int r = 0;

        snprintf(map, sizeof(map), "%u %u %u\n", inside, outside, size);
        for (size_t i = 0; i < ELEMENTSOF(files) && r >= 0; i++) {
                snprintf(path, sizeof(path), "/proc/%i/%s", pid, files[i]);
                r = file_poke_at(AT_FDCWD, path, map);
        }
        return r;
}

/* A descriptor keeps the namespace alive, so the process that made it is killed. */
int id_map_make(uid_t inside, uid_t outside, uid_t size)
{
        const struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
        char path[64];
        int r, fd = -EBADF;

        pid_t pid = sys_clone3(&args);
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                pause();
                _exit(EXIT_SUCCESS);
        }
        r = id_map_write(pid, inside, outside, size);
        if (r >= 0) {
                snprintf(path, sizeof(path), "/proc/%i/ns/user", pid);
                fd = RET_NERRNO(open(path, O_RDONLY | O_CLOEXEC));
        }
        (void) kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return r < 0 ? r : fd;
}

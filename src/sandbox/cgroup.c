/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "basic/fd.h"
#include "basic/process.h"
#include "basic/str.h"
#include "sandbox/cgroup.h"

#define FREEZE_STEPS     500U
#define FREEZE_STEP_USEC 2000U
#define CGROUP_FILE_MAX  4096U
/* Cgroups that are made in the machine must be removable by the host. */
#define CGROUP_DEPTH_MAX       64
#define CGROUP_DESCENDANTS_MAX 16384
#define DEATH_TIMEOUT_MSEC     5000

/* Opens the cgroup of a process. If a part of the path has this name, opens the parent of the first such
 * part. */
static int open_above(pid_t pid, const char *part)
{
        _cleanup_free_ char *path = NULL, *full = NULL;
        struct statfs fs;
        int r;

        if (statfs("/sys/fs/cgroup", &fs) < 0)
                return -errno;
        if (fs.f_type != CGROUP2_SUPER_MAGIC)
                return -ENOMEDIUM;
        r = process_cgroup(pid, &path);
        if (r < 0)
                return r;
        for (char *p = path; (p = strstr(p, part)); p++)
                if (p[strlen(part)] == '/' || !p[strlen(part)]) {
                        *p = 0;
                        break;
                }
        full = strf("/sys/fs/cgroup%s", path);
        OOM_CHECK(full);
        return RET_NERRNO(open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int cgroup_open_own_unit(void)
{
        return open_above(0, "/.control");
}

int cgroup_open_unit_of(pid_t leader)
{
        return open_above(leader, "/payload");
}

int cgroup_is_frozen(pid_t leader)
{
        _cleanup_free_ char *text = NULL;
        int r;

        _cleanup_close_ int fd = cgroup_open_unit_of(leader);
        if (fd < 0)
                return fd;
        r = file_read_at(fd, "cgroup.events", CGROUP_FILE_MAX, &text, NULL);
        return r < 0 ? r : strstr(text, "frozen 1") != NULL;
}

int cgroup_freeze(pid_t leader, bool frozen)
{
        _cleanup_close_ int fd = cgroup_open_unit_of(leader);
        _cleanup_close_ int freeze_fd = fd < 0 ? fd
                                               : RET_NERRNO(openat(fd, "cgroup.freeze",
                                                                   O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
        int r = freeze_fd < 0 ? freeze_fd : fd_write_all(freeze_fd, frozen ? "1" : "0", 1);

        for (unsigned i = 0; r >= 0 && frozen && cgroup_is_frozen(leader) == 0; i++) {
                if (i >= FREEZE_STEPS)
                        return -ETIMEDOUT;
                (void) usleep(FREEZE_STEP_USEC);
        }
        return r;
}

int cgroup_make_guest(int unit_fd, const char *name)
{
        assert(startswith(name, CGROUP_GUEST));
        if (mkdirat(unit_fd, name, 0755) < 0 && errno != EEXIST)
                return -errno;
        return dir_open_at(unit_fd, name);
}

int cgroup_make_payload(int unit_fd, uid_t owner)
{
        _cleanup_free_ char *files = NULL;
        int r;

        r = cgroup_remove_payload(unit_fd);
        if (r < 0)
                return r;
        if (mkdirat(unit_fd, "payload", 0755) < 0)
                return -errno;
        _cleanup_close_ int fd = dir_open_at(unit_fd, "payload");
        if (fd < 0)
                return fd;

        r = file_poke_at(fd, "cgroup.max.depth", STRINGIFY(CGROUP_DEPTH_MAX));
        if (r >= 0)
                r = file_poke_at(fd, "cgroup.max.descendants", STRINGIFY(CGROUP_DESCENDANTS_MAX));
        if (r < 0)
                return r;
        if (fchown(fd, owner, owner) < 0)
                return -errno;
        r = file_read_at(AT_FDCWD, "/sys/kernel/cgroup/delegate", CGROUP_FILE_MAX, &files, NULL);
        if (r < 0)
                return r;
        for (char *state, *name = strtok_r(files, "\n", &state); name; name = strtok_r(NULL, "\n", &state))
                /* The list has all controllers. A controller that is not enabled has no files here. */
                if (fchownat(fd, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
                        return -errno;
        return TAKE_FD(fd);
}

int cgroup_read_controllers(int unit_fd, char **ret)
{
        _cleanup_free_ char *text = NULL, *list = NULL;
        int r;

        r = file_read_at(unit_fd, "cgroup.controllers", CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        list = malloc(strlen(text) * 2 + 2);
        OOM_CHECK(list);
        char *p = list;
        *p = 0;
        for (char *state, *name = strtok_r(text, " \n", &state); name; name = strtok_r(NULL, " \n", &state))
                p += sprintf(p, "%s+%s", p == list ? "" : " ", name);
        *ret = TAKE_PTR(list);
        return 0;
}

int cgroup_enable_controllers(int control_fd, const char *controllers)
{
        if (isempty(controllers))
                return 0;
        return write(control_fd, controllers, strlen(controllers)) < 0 ? -errno : 0;
}

/* Waits until no process is in a cgroup or below the cgroup. */
static int wait_empty(int fd)
{
        _cleanup_close_ int events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (events_fd < 0)
                return -errno;

        for (int waited = 0; waited < DEATH_TIMEOUT_MSEC; waited += 100) {
                char text[256];
                ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);
                if (n < 0)
                        return -errno;
                text[n] = 0;
                if (strstr(text, "populated 0"))
                        return 0;

                struct pollfd p = { .fd = events_fd, .events = POLLPRI };
                if (poll(&p, 1, 100) < 0 && errno != EINTR)
                        return -errno;
        }
        return -EBUSY;
}

/* Removes the cgroups below a directory, deepest first. */
static int remove_children(int fd, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int copy, r;

        if (depth > CGROUP_DEPTH_MAX + 1)
                return -ELOOP;
        copy = fd_reopen(fd, O_RDONLY | O_DIRECTORY);
        if (copy < 0)
                return copy;
        dir = fdopendir(copy);
        if (!dir) {
                fd_close(copy);
                return -ENOMEM;
        }

        for (struct dirent *e; (e = readdir(dir));) {
                if (e->d_type != DT_DIR || streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                _cleanup_close_ int child = dir_open_at(fd, e->d_name);
                if (child < 0)
                        return child;
                r = remove_children(child, depth + 1);
                if (r < 0)
                        return r;
                if (unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                        return -errno;
        }
        return 0;
}

static int remove_guests(int unit_fd)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int copy = fd_reopen(unit_fd, O_RDONLY | O_DIRECTORY);

        if (copy < 0)
                return copy;
        dir = fdopendir(copy);
        if (!dir) {
                fd_close(copy);
                return -ENOMEM;
        }
        for (struct dirent *e; (e = readdir(dir));)
                if (startswith(e->d_name, CGROUP_GUEST))
                        (void) unlinkat(unit_fd, e->d_name, AT_REMOVEDIR);
        return 0;
}

int cgroup_remove_payload(int unit_fd)
{
        _cleanup_free_ char *enabled = NULL;
        int r;

        _cleanup_close_ int fd = dir_open_at(unit_fd, "payload");
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;

        r = file_poke_at(fd, "cgroup.kill", "1");
        if (r >= 0)
                r = wait_empty(fd);
        if (r >= 0)
                r = remove_children(fd, 0);
        if (r >= 0 && unlinkat(unit_fd, "payload", AT_REMOVEDIR) < 0)
                r = -errno;
        if (r < 0)
                return r;

        /* No process is in the other cgroups: all of their processes were in the namespaces of the payload.
         */
        r = remove_guests(unit_fd);
        if (r < 0)
                return r;

        /* A cgroup that enables controllers for its children takes no processes. systemd could then not put
         * a main process into the cgroup. */
        r = file_read_at(unit_fd, "cgroup.subtree_control", CGROUP_FILE_MAX, &enabled, NULL);
        if (r < 0)
                return r;
        for (char *state, *name = strtok_r(enabled, " \n", &state); name;
             name = strtok_r(NULL, " \n", &state)) {
                char word[64];
                snprintf(word, sizeof(word), "-%s", name);
                (void) file_poke_at(unit_fd, "cgroup.subtree_control", word);
        }
        return 0;
}

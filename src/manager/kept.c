/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/kept.h"

#include <dirent.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/console.h"
#include "manager/machine.h"

/* The device number of the master side of a terminal. */
#define PTMX makedev(5, 2)

static bool needs_socket(const Kept *k, const Machine *m)
{
        return m->record.notify > 0 && !notifications_has(k->notifications, m->unit);
}

static bool needs_console(const Machine *m)
{
        return m->record.console > 0 && !consoles_has(m->manager, m->unit);
}

/* Returns the machine that a descriptor of the service manager belongs to, and that needs the descriptor.
 * NULL if there is no such machine. */
static const Machine *find_owner(const Kept *k, const struct stat *st)
{
        bool socket = S_ISSOCK(st->st_mode), terminal = S_ISCHR(st->st_mode) && st->st_rdev == PTMX;

        for (size_t i = 0; i < k->manager->n_machines; i++) {
                const Machine *m = k->manager->machines[i];
                if (m->foreign || !m->record.handed_over)
                        continue;
                if ((socket && m->record.notify == st->st_ino && needs_socket(k, m)) ||
                    (terminal && m->record.console == st->st_dev && needs_console(m)))
                        return m;
        }
        return NULL;
}

static int take(Kept *k, int manager_fd, int number, const Machine *m, bool socket)
{
        _cleanup_close_ int fd = pidfd_getfd(manager_fd, number, 0);

        if (fd < 0)
                return -errno;
        return socket ? notifications_take(k->notifications, m->unit, m->record.leader, &fd)
                      : consoles_take(k->manager, m->unit, &fd);
}

static int take_all(Kept *k)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        pid_t manager = getppid();
        char path[64];
        struct stat st;
        int r = 0;

        _cleanup_close_ int manager_fd = pidfd_open(manager, 0);
        if (manager_fd < 0)
                return -errno;
        snprintf(path, sizeof(path), "/proc/%i/fd", manager);
        dir = opendir(path);
        if (!dir)
                return -errno;
        for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
                if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, 0) < 0)
                        continue;
                const Machine *m = find_owner(k, &st);
                if (m)
                        r = take(k, manager_fd, atoi(e->d_name), m, S_ISSOCK(st.st_mode));
        }
        return r;
}

static void on_refreshed(void *userdata)
{
        Kept *k = userdata;
        bool needed = false;

        for (size_t i = 0; i < k->manager->n_machines && !needed; i++) {
                const Machine *m = k->manager->machines[i];
                needed = !m->foreign && m->record.handed_over && m->state != MACHINE_FAILED &&
                         (needs_socket(k, m) || needs_console(m));
        }
        int r = needed ? take_all(k) : 0;
        if (r < 0)
                log_warning_errno(r, "Failed to take what systemd keeps for machines");
}

void kept_observe(Kept *k, Manager *manager, Notifications *notifications)
{
        *k = (Kept){ manager, notifications, { .refreshed = on_refreshed, .userdata = k } };
        manager_observe(manager, &k->observer);
}

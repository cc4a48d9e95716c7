/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/machine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>

#include "basic/fd.h"
#include "basic/time.h"
#include "manager/manager.h"
#include "sandbox/cgroup.h"
#include "state/leader.h"
#include "store/image.h"

static const char *const state_names[_MACHINE_STATE_MAX] = {
        [MACHINE_STARTING] = "starting",
        [MACHINE_RUNNING] = "running",
        [MACHINE_STOPPING] = "stopping",
        [MACHINE_FAILED] = "failed",
};

const char *machine_state_to_string(const Machine *m)
{
        return m->paused && m->state == MACHINE_RUNNING ? "paused" : state_names[m->state];
}

Machine *machine_new(Manager *manager)
{
        Machine *m = malloc(sizeof(Machine));

        if (m)
                *m = (Machine){ .manager = manager, .leader_fd = -EBADF, .vsock_cid = UINT32_MAX };
        return m;
}

void machine_free(Machine *m)
{
        sd_bus_slot_unref(m->changed_slot);
        sd_event_source_disable_unref(m->leader_source);
        fd_close(m->leader_fd);
        free(m->class);
        free(m->service);
        free(m->interfaces);
        free(m->ssh_address);
        free(m->ssh_key);
        free(m->control_address);
        record_clear(&m->record);
        free(m->name);
        free(m->unit);
        free(m->os);
        free(m->image);
        free(m);
}

static void forget_record(Machine *m)
{
        m->paused = m->watch_freezer = false;
        record_clear(&m->record);
        m->record_time = (struct timespec){};
}

const char *machine_image(const Machine *m)
{
        return m->image ?: m->record.root ?: "";
}

bool machine_is_registered(const Machine *m)
{
        return m->state != MACHINE_FAILED && m->record.handed_over;
}

void machine_name_image(Machine *m)
{
        const char *below = m->record.root ? startswith(m->record.root, m->manager->scope->store) : NULL;

        free(m->image);
        m->image = NULL;
        if (below && below[0] == '/')
                (void) image_name_from_file(below + 1, &m->image);
}

static uint64_t to_monotonic(uint64_t realtime)
{
        return realtime - (now_usec(CLOCK_REALTIME) - now_usec(CLOCK_MONOTONIC));
}

bool machine_check_freezer(Machine *m)
{
        bool before = m->paused;

        m->paused = m->record.handed_over && cgroup_is_frozen(m->record.leader) > 0;
        m->watch_freezer = m->watch_freezer || m->paused;
        return m->paused != before;
}

int machine_read(Machine *m)
{
        struct stat st;
        int r;

        _cleanup_close_ int machine_fd = machine_dir_open(m->manager->run_fd, m->kind, m->name, false);
        if (machine_fd < 0 || fstatat(machine_fd, "leader", &st, AT_SYMLINK_NOFOLLOW) < 0) {
                forget_record(m);
                return 0;
        }
        /* The launcher replaces the record. A new file has another inode number, even if its time is the
         * same. */
        if (m->record.leader > 0 && st.st_ino == m->record_file &&
            st.st_mtim.tv_sec == m->record_time.tv_sec && st.st_mtim.tv_nsec == m->record_time.tv_nsec)
                return 0;

        forget_record(m);
        r = record_read(machine_fd, &m->record);
        if (r < 0)
                return r;
        m->record_time = st.st_mtim;
        m->record_file = st.st_ino;
        m->since_monotonic = to_monotonic(m->record.since);
        machine_name_image(m);
        return free_and_strdup(&m->os, m->record.os);
}

int machine_open(const Machine *m)
{
        if (!streq(m->class, "container"))
                return -EOPNOTSUPP;
        _cleanup_close_ int fd = leader_open(&m->record);
        if (fd < 0)
                return fd;
        if (m->foreign && (leader_shares(fd, "mnt") || (m->owner != 0 && leader_shares(fd, "user"))))
                return -EOPNOTSUPP;
        return TAKE_FD(fd);
}

bool machine_is_host(const Machine *m)
{
        return m == m->manager->host;
}

int machine_open_or_host(const Machine *m)
{
        return machine_is_host(m) ? RET_NERRNO(open("/proc/1", O_PATH | O_DIRECTORY | O_CLOEXEC))
                                  : machine_open(m);
}

Machine *machine_of_process(const Manager *manager, pid_t pid)
{
        _cleanup_free_ char *unit = NULL;

        for (size_t i = 0; i < manager->n_machines; i++)
                if (machine_is_registered(manager->machines[i]) &&
                    manager->machines[i]->record.leader == pid)
                        return manager->machines[i];
        if (sd_pid_get_unit(pid, &unit) < 0)
                return NULL;
        for (size_t i = 0; i < manager->n_machines; i++) {
                Machine *m = manager->machines[i];
                if (machine_is_registered(m) && m->owns_unit && streq(m->unit, unit))
                        return m;
        }
        return NULL;
}

Machine *machine_of_user(const Manager *manager, bool group, uint32_t outer, uint32_t *ret_inner)
{
        for (size_t i = 0; i < manager->n_machines && outer >= MACHINE_HOST_IDS; i++) {
                Machine *m = manager->machines[i];
                if (!machine_is_registered(m) ||
                    (!m->foreign && (m->record.base == 0 || m->record.base > outer)))
                        continue;
                _cleanup_close_ int proc_fd = machine_open(m);
                if (proc_fd >= 0 && !leader_shares(proc_fd, "user") &&
                    leader_id_from_host(proc_fd, group, outer, ret_inner) >= 0 && *ret_inner != outer)
                        return m;
        }
        return NULL;
}

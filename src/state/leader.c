/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/process.h"
#include "state/leader.h"

/* Enough for 340 lines of three numbers, the limit of the kernel. */
#define MAP_MAX 16384U

int leader_open(const Record *record)
{
        uint64_t start;
        char path[32];
        int r;

        snprintf(path, sizeof(path), "/proc/%i", record->leader);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -ESRCH;
        /* The PID may have been reused before open(2). If the leader still has its PID now, the directory is
         * the leader's. */
        r = process_start_time(record->leader, &start);
        return r < 0 || start != record->start_time ? -ESRCH : TAKE_FD(fd);
}

int leader_open_root(int proc_fd)
{
        return RET_NERRNO(openat(proc_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool leader_shares(int proc_fd, const char *namespace)
{
        char own_path[32], host_path[32];
        struct stat own, host;

        snprintf(own_path, sizeof(own_path), "ns/%s", namespace);
        snprintf(host_path, sizeof(host_path), "/proc/1/ns/%s", namespace);
        return fstatat(proc_fd, own_path, &own, 0) < 0 || stat(host_path, &host) < 0 ||
               (own.st_dev == host.st_dev && own.st_ino == host.st_ino);
}

int leader_users(int proc_fd, uid_t *ret_base, uint32_t *ret_size)
{
        _cleanup_free_ char *text = NULL, *groups = NULL;
        unsigned inside, outside, size;
        int r, end = 0;

        r = file_read_at(proc_fd, "uid_map", 4096, &text, NULL);
        if (r >= 0)
                r = file_read_at(proc_fd, "gid_map", 4096, &groups, NULL);
        if (r < 0)
                return r;
        if (!streq(text, groups))
                return -EOPNOTSUPP;
        if (sscanf(text, " %u %u %u %n", &inside, &outside, &size, &end) != 3 || text[end] || inside != 0)
                return -EOPNOTSUPP;
        *ret_base = outside;
        *ret_size = size;
        return 0;
}

/* Each line of a map is a range: its first ID inside, its first ID outside, and its size
 * (user_namespaces(7)). */
static int map_id(int proc_fd, bool group, bool to_host, uint32_t id, uint32_t *ret)
{
        _cleanup_free_ char *text = NULL;
        unsigned inside, outside, size;
        int r, end;

        r = file_read_at(proc_fd, group ? "gid_map" : "uid_map", MAP_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (const char *p = text; sscanf(p, " %u %u %u%n", &inside, &outside, &size, &end) == 3; p += end) {
                uint32_t from = to_host ? inside : outside, to = to_host ? outside : inside;
                if (id >= from && id - from < size) {
                        *ret = to + (id - from);
                        return 0;
                }
        }
        return -ENOENT;
}

int leader_id_to_host(int proc_fd, bool group, uint32_t inside, uint32_t *ret)
{
        return map_id(proc_fd, group, true, inside, ret);
}

int leader_id_from_host(int proc_fd, bool group, uint32_t outside, uint32_t *ret)
{
        return map_id(proc_fd, group, false, outside, ret);
}

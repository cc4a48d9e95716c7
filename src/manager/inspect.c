/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/rootfs.h"
#include "manager/inspect.h"

#define NET_FILE_MAX  (1024U * 1024U)
#define ADDRESSES_MAX 256U
/* The scope of the loopback device's address in /proc/net/if_inet6. */
#define SCOPE_HOST 0x10U

typedef struct Addresses {
        Address *list;
        size_t n;
} Addresses;

static int append_address(Addresses *a, int family, const void *bytes, size_t size)
{
        /* The trie has each address more than once. */
        for (size_t i = 0; i < a->n; i++)
                if (a->list[i].family == family && memcmp(a->list[i].bytes, bytes, size) == 0)
                        return 0;
        if (a->n == ADDRESSES_MAX)
                return 0;
        Address *list = reallocarray(a->list, a->n + 1, sizeof(Address));
        OOM_CHECK(list);
        a->list = list;
        list[a->n] = (Address){ .family = family };
        memcpy(list[a->n++].bytes, bytes, size);
        return 0;
}

/* In the routing trie, addresses of the machine are leaves "|-- ADDRESS", followed by a line "/32 host
 * LOCAL". */
static int append_ipv4(int proc_fd, Addresses *a)
{
        _cleanup_free_ char *text = NULL;
        struct in_addr leaf = {};
        int r;

        r = file_read_at(proc_fd, "net/fib_trie", NET_FILE_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        for (char *state, *line = strtok_r(text, "\n", &state); line && r >= 0;
             line = strtok_r(NULL, "\n", &state)) {
                const char *p = strstr(line, "|-- ");
                if (p)
                        leaf.s_addr = inet_pton(AF_INET, p + 4, &leaf) == 1 ? leaf.s_addr : INADDR_ANY;
                else if (strstr(line, "/32 host LOCAL") && leaf.s_addr != INADDR_ANY &&
                         ntohl(leaf.s_addr) >> 24 != 127)
                        r = append_address(a, AF_INET, &leaf, sizeof(leaf));
        }
        return r;
}

static int append_ipv6(int proc_fd, Addresses *a)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read_at(proc_fd, "net/if_inet6", NET_FILE_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        for (char *state, *line = strtok_r(text, "\n", &state); line && r >= 0;
             line = strtok_r(NULL, "\n", &state)) {
                struct in6_addr address;
                unsigned scope, byte;
                size_t i;

                for (i = 0; i < sizeof(address) && sscanf(line + 2 * i, "%2x", &byte) == 1; i++)
                        address.s6_addr[i] = byte;
                if (i == sizeof(address) && sscanf(line + 2 * i, " %*x %*x %x", &scope) == 1 &&
                    scope != SCOPE_HOST)
                        r = append_address(a, AF_INET6, &address, sizeof(address));
        }
        return r;
}

int inspect_addresses(int proc_fd, Address **ret, size_t *ret_n)
{
        Addresses a = {};
        int r;

        if (leader_shares(proc_fd, "net"))
                return -ENONET;
        r = append_ipv4(proc_fd, &a);
        if (r >= 0)
                r = append_ipv6(proc_fd, &a);
        if (r < 0) {
                free(a.list);
                return r;
        }
        *ret = a.list;
        *ret_n = a.n;
        return 0;
}

int inspect_open_terminal(int proc_fd, char **ret_path)
{
        unsigned number;
        struct stat st;
        uint32_t size;
        uid_t base;
        int unlock = 0;

        _cleanup_close_ int root_fd = leader_open_root(proc_fd);
        if (root_fd < 0)
                return root_fd;
        /* The file is opened only as a character device: to open a pipe of this name would block. */
        _cleanup_close_ int path_fd = rootfs_open(root_fd, "/dev/ptmx", O_PATH);
        if (path_fd < 0)
                return path_fd;
        if (fstat(path_fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
                return -ENXIO;
        /* The slave belongs to the user who opens the master: to root of the machine, who passes it to a
         * user. */
        if (leader_users(proc_fd, &base, &size) < 0)
                base = 0;
        (void) setfsgid(base);
        (void) setfsuid(base);
        _cleanup_close_ int fd = fd_reopen(path_fd, O_RDWR | O_NOCTTY | O_NONBLOCK);
        (void) setfsuid(0);
        (void) setfsgid(0);
        if (fd < 0)
                return fd;
        if (ioctl(fd, TIOCSPTLCK, &unlock) < 0 || ioctl(fd, TIOCGPTN, &number) < 0 ||
            fcntl(fd, F_SETFL, O_RDWR) < 0)
                return -errno;
        *ret_path = strf("/dev/pts/%u", number);
        return *ret_path ? TAKE_FD(fd) : -ENOMEM;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "sandbox/link.h"

typedef struct Request {
        struct nlmsghdr header;
        struct ifinfomsg info;
        char attributes[128];
} Request;

static void add_attribute(Request *q, unsigned short type, const void *data, size_t size)
{
        struct rtattr *a = (struct rtattr *) ((char *) q + NLMSG_ALIGN(q->header.nlmsg_len));

        a->rta_type = type;
        a->rta_len = RTA_LENGTH(size);
        memcpy(RTA_DATA(a), data, size);
        q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

int link_move(const char *interface, pid_t pid)
{
        char name[IFNAMSIZ] = {};
        struct {
                struct nlmsghdr header;
                struct nlmsgerr error;
        } reply;
        Request q = {
                .header = {
                        .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                        .nlmsg_type = RTM_NEWLINK,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                },
                .info = { .ifi_family = AF_UNSPEC },
        };
        const char *colon = strchr(interface, ':');
        size_t n = strcspn(interface, ":");

        assert(n < sizeof(name));
        memcpy(name, interface, n);
        q.info.ifi_index = if_nametoindex(name);
        if (q.info.ifi_index == 0)
                return -errno;
        add_attribute(&q, IFLA_NET_NS_PID, &pid, sizeof(uint32_t));
        if (colon)
                add_attribute(&q, IFLA_IFNAME, colon + 1, strlen(colon + 1) + 1);

        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0)
                return -errno;
        if (send(fd, &q, q.header.nlmsg_len, 0) < 0)
                return -errno;
        if (recv(fd, &reply, sizeof(reply), 0) < (ssize_t) sizeof(reply) ||
            reply.header.nlmsg_type != NLMSG_ERROR)
                return -EBADMSG;
        return reply.error.error;
}

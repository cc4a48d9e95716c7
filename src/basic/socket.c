/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/socket.h>

#include "basic/socket.h"

typedef union Control {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
} Control;

int socket_send_fd(int socket_fd, char byte, int fd)
{
        Control control = {
                .header = { .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int)) },
        };
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                message.msg_control = &control;
                message.msg_controllen = sizeof(control.space);
        }
        return sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int socket_receive_fd(int socket_fd, char *ret_byte, int *ret_fd)
{
        Control control;
        struct iovec iov = { .iov_base = ret_byte, .iov_len = 1 };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control.space),
        };
        ssize_t n;

        do
                n = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;

        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *ret_fd = -EBADF;
        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
        return n > 0;
}

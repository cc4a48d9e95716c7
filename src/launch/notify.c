/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch/notify.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/fd.h"
#include "sandbox/notify.h"
#include "state/record.h"

int notify_make(int machine_fd, uid_t owner, ino_t *ret_inode)
{
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        const int yes = 1;
        struct stat st;

        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
                return -errno;
        if (unlinkat(machine_fd, NOTIFY_FILE, 0) < 0 && errno != ENOENT)
                return -errno;
        /* The path of the directory may be too long for the address of a socket. */
        snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%i/" NOTIFY_FILE, machine_fd);
        if (bind(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 ||
            fchownat(machine_fd, NOTIFY_FILE, owner, owner, AT_SYMLINK_NOFOLLOW) < 0 ||
            fchmodat(machine_fd, NOTIFY_FILE, 0600, 0) < 0 || fstat(fd, &st) < 0)
                return -errno;
        *ret_inode = st.st_ino;
        return TAKE_FD(fd);
}

int notify_keep(const char *name, int fd)
{
        _cleanup_free_ char *remove = strf("FDSTOREREMOVE=1\nFDNAME=%s", name),
                            *store = strf("FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
        int r = remove && store ? notify_manager(remove, false) : -ENOMEM;

        return r < 0 ? r : notify_manager_fd(store, fd);
}

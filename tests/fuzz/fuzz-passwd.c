/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* passwd(5) and group(5) of a container: whoever is found is fit to be shown and to be become. The first
 * byte says who is looked for, a NUL byte ends the one file and begins the other. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/str.h"
#include "sandbox/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int make_root(void)
{
        char path[] = "/tmp/fuzz-passwd.XXXXXX";
        int fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        if (fd < 0 || mkdirat(fd, "etc", 0755) < 0)
                abort();
        return fd;
}

static void write_database(int root_fd, const char *path, const uint8_t *data, size_t size)
{
        _cleanup_close_ int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0 || fd_write_all(fd, data, size) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const users[] = { "root", "alice", "1000", "0", "4294967294", "" };
        static int root_fd = -EBADF;
        _cleanup_person_ Person person = {};

        if (size < 1)
                return 0;
        if (root_fd < 0)
                root_fd = make_root();
        const uint8_t *end = memchr(data + 1, 0, size - 1);
        size_t n = end ? (size_t) (end - data) - 1 : size - 1;
        write_database(root_fd, "etc/passwd", data + 1, n);
        write_database(root_fd, "etc/group", end ? end + 1 : data, end ? size - n - 2 : 0);
        if (person_find(root_fd, users[data[0] % ELEMENTSOF(users)], &person) < 0)
                return 0;
        if (person.uid == UINT32_MAX || person.gid == UINT32_MAX || person.n_groups < 1 ||
            person.groups[0] != person.gid || (person.name && !str_is_clean(person.name)) ||
            (person.home && (person.home[0] != '/' || !str_is_clean(person.home))) ||
            (person.shell && (person.shell[0] != '/' || !str_is_clean(person.shell))))
                abort();
        return 0;
}

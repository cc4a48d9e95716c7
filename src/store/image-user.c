/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/image-user.h"

#include "basic/fd.h"
#include "state/record.h"
#include "store/image.h"

/* Compares inodes, since a record may name the image by any path. */
static bool runs_from(int dir_fd, const char *name, const void *what)
{
        const struct stat *image = what;
        _cleanup_record_ Record record = {};
        struct stat st;

        _cleanup_close_ int fd = dir_open_at(dir_fd, name);
        return fd >= 0 && record_read(fd, &record) >= 0 && record.root && stat(record.root, &st) >= 0 &&
               st.st_dev == image->st_dev && st.st_ino == image->st_ino && record_alive(&record);
}

/* Looks through the records of all machines, under the lock that image-user.h describes. Returns 1 and the
 * name of a machine that `matches`, which the caller frees, or 0. */
static int find_machine(int run_fd, bool (*matches)(int dir_fd, const char *name, const void *what),
                        const void *what, char **ret)
{
        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                _cleanup_(closedir_cleanup) DIR *dir = NULL;
                int fd = machine_dir_open(run_fd, kind, ".", false);
                dir = fd < 0 ? NULL : fdopendir(fd);
                if (!dir) {
                        fd_close(fd);
                        if (fd == -ENOENT)
                                continue;
                        return fd < 0 ? fd : -ENOMEM;
                }
                for (struct dirent *e; (e = readdir(dir));)
                        if (e->d_name[0] != '.' && matches(fd, e->d_name, what)) {
                                *ret = strdup(e->d_name);
                                return *ret ? 1 : -ENOMEM;
                        }
        }
        return 0;
}

int image_find_user(int run_fd, int store_fd, const char *name, char **ret)
{
        struct stat image;

        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, NULL, NULL);
        if (image_fd < 0 || fstat(image_fd, &image) < 0)
                return image_fd < 0 ? image_fd : -errno;
        return find_machine(run_fd, runs_from, &image, ret);
}

static bool runs_from_tree(int dir_fd, const char *name, const void *what)
{
        const Strv *trees = what;
        _cleanup_record_ Record record = {};

        _cleanup_close_ int fd = dir_open_at(dir_fd, name);
        return fd >= 0 && record_read(fd, &record) >= 0 && strv_contains(*trees, record.tree) &&
               record_alive(&record);
}

int image_find_tree_user(int run_fd, const Strv trees, char **ret)
{
        return find_machine(run_fd, runs_from_tree, &trees, ret);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Functions that need only ioctls, and not libbtrfsutil. */

#include <linux/btrfs.h>
#include <sys/ioctl.h>

#include "basic/names.h"
#include "store/image.h"
#include "store/subvolume.h"

#define SNAPSHOTS_MAX 1000U

void subvolume_format_uuid(const uint8_t uuid[16], char ret[static SUBVOLUME_UUID_LENGTH + 1])
{
        for (size_t i = 0; i < 16; i++)
                snprintf(ret + 2 * i, 3, "%02x", uuid[i]);
}

int subvolume_info(int fd, SubvolumeInfo *ret)
{
        struct btrfs_ioctl_get_subvol_info_args args = {};

        if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &args) < 0)
                return -errno;
        subvolume_format_uuid(args.uuid, ret->uuid);
        ret->time = args.otime.sec * USEC_PER_SEC + args.otime.nsec / NSEC_PER_USEC;
        return 0;
}

int subvolume_open(int dir_fd, const char *name)
{
        _cleanup_close_ int fd = dir_open_at(dir_fd, name);

        return fd < 0 ? fd : image_is_subvolume(fd) ? TAKE_FD(fd) : -ENOENT;
}

int subvolume_open_snapshots(int store_fd, int image_fd, bool make)
{
        _cleanup_free_ char *path = NULL;
        SubvolumeInfo info;
        int r = subvolume_info(image_fd, &info);

        if (r < 0)
                return r;
        path = strf(SNAPSHOTS_DIR "/%s", info.uuid);
        OOM_CHECK(path);
        return make ? dir_open_or_make_at(store_fd, path, 0700) : dir_open_at(store_fd, path);
}

static int compare_times(const void *a, const void *b)
{
        const Snapshot *x = a, *y = b;

        return x->time < y->time ? -1 : x->time > y->time ? 1 : strcmp(x->name, y->name);
}

int subvolume_list_snapshots(int store_fd, int image_fd, Snapshot **ret, size_t *ret_n)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        Snapshot *list = NULL;
        size_t n = 0;
        int r = 0, dir_fd = subvolume_open_snapshots(store_fd, image_fd, false);

        *ret = NULL;
        *ret_n = 0;
        dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
        if (!dir) {
                fd_close(dir_fd);
                return dir_fd == -ENOENT ? 0 : dir_fd < 0 ? dir_fd : -ENOMEM;
        }
        for (struct dirent *e; r >= 0 && n < SNAPSHOTS_MAX && (e = readdir(dir));) {
                SubvolumeInfo info;
                if (e->d_name[0] == '.' || !image_name_valid(e->d_name))
                        continue;
                _cleanup_close_ int fd = subvolume_open(dir_fd, e->d_name);
                if (fd < 0 || subvolume_info(fd, &info) < 0)
                        continue;
                Snapshot *more = reallocarray(list, n + 1, sizeof(Snapshot));
                _cleanup_free_ char *name = strdup(e->d_name);
                list = more ?: list;
                if (more && name)
                        list[n++] = (Snapshot){ .name = TAKE_PTR(name), .time = info.time };
                else
                        r = -ENOMEM;
        }
        if (r < 0) {
                snapshots_free(list, n);
                return r;
        }
        if (n > 0)
                qsort(list, n, sizeof(Snapshot), compare_times);
        *ret = list;
        *ret_n = n;
        return 0;
}

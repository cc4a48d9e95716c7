/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "basic/names.h"
#include "basic/parse.h"
#include "basic/rootfs.h"
#include "basic/str.h"
#include "image/image.h"

#define SUBVOLUME_INO 256U

static const char *const init_paths[] = { "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/sbin/init" };

int image_find(const char *image, char **ret_path, char **ret_error)
{
        _cleanup_free_ char *path = NULL;
        bool by_name = image[0] != '/';
        struct stat st, root;

        if (by_name && !image_name_valid(image)) {
                _cleanup_free_ char *shown = str_escape(image);
                *ret_error = strf("Invalid name of an image: '%.80s'.", strna(shown));
                return -EINVAL;
        }
        path = by_name ? strf("%s/%s", IMAGE_STORE, image) : strdup(image);
        OOM_CHECK(path);

        if (stat(path, &st) < 0) {
                int e = errno;
                if (e == ENOENT && by_name)
                        *ret_error = strf("No image '%s' in %s.", image, IMAGE_STORE);
                else
                        *ret_error = strf("Cannot open image '%s': %s.", image, strerror(e));
                return -e;
        }
        if (!S_ISDIR(st.st_mode)) {
                *ret_error = strf("Image '%s' is not a directory.", image);
                return -ENOTDIR;
        }
        if (stat("/", &root) >= 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino) {
                *ret_error = strdup("The root of the host is no image.");
                return -EBUSY;
        }
        *ret_path = TAKE_PTR(path);
        return 0;
}

void image_info_clear(ImageInfo *info)
{
        free(info->init);
        *info = (ImageInfo){};
}

static int find_init(int root_fd, char **ret)
{
        for (size_t i = 0; i < ELEMENTSOF(init_paths); i++) {
                struct stat st;

                _cleanup_close_ int fd = rootfs_open(root_fd, init_paths[i], O_PATH);
                if (fd < 0)
                        continue;
                if (fstat(fd, &st) < 0)
                        return -errno;
                if (S_ISREG(st.st_mode) && (st.st_mode & 0111)) {
                        *ret = strdup(init_paths[i]);
                        return *ret ? 0 : -ENOMEM;
                }
        }
        *ret = NULL;
        return 0;
}

static void read_machine_id(int root_fd, char uuid[33])
{
        _cleanup_free_ char *text = NULL;
        uint8_t id[16];

        uuid[0] = 0;
        if (rootfs_read_file(root_fd, "/etc/machine-id", 64, &text, NULL) < 0)
                return;
        text[strcspn(text, "\n")] = 0;
        if (strlen(text) != 32 || parse_id128(text, id) < 0 || strspn(text, "0") == 32)
                return; /* "uninitialized", or nothing yet */
        memcpy(uuid, text, 33);
}

int image_inspect(int root_fd, ImageInfo *ret)
{
        ImageInfo info = {};
        int r;

        r = find_init(root_fd, &info.init);
        if (r < 0)
                return r;
        read_machine_id(root_fd, info.uuid);
        info.has_localtime = rootfs_exists(root_fd, "/etc/localtime");
        *ret = info;
        return 0;
}

bool image_is_subvolume(int image_fd)
{
        struct statfs fs;
        struct stat st;

        return fstatfs(image_fd, &fs) >= 0 && fs.f_type == BTRFS_SUPER_MAGIC && fstat(image_fd, &st) >= 0 &&
               st.st_ino == SUBVOLUME_INO;
}

bool image_is_read_only(int image_fd)
{
        uint64_t subvolume = 0;
        int flags = 0;

        if (image_is_subvolume(image_fd))
                return ioctl(image_fd, BTRFS_IOC_SUBVOL_GETFLAGS, &subvolume) >= 0 &&
                       (subvolume & BTRFS_SUBVOL_RDONLY);
        return ioctl(image_fd, FS_IOC_GETFLAGS, &flags) >= 0 && (flags & FS_IMMUTABLE_FL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "basic/names.h"
#include "basic/parse.h"
#include "basic/rootfs.h"
#include "basic/str.h"
#include "image/beside.h"
#include "image/image.h"
#include "image/stack.h"

#define SUBVOLUME_INO 256U

static const char *const init_paths[] = { "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/sbin/init" };

/* What a file of that name is, beside directories and devices. */
static const struct {
        const char *suffix;
        ImageType type;
} suffixes[] = {
        { IMAGE_RAW_SUFFIX, IMAGE_RAW },
        { ".stack", IMAGE_STACK },
};

const char *image_type_to_string(ImageType type)
{
        static const char *const names[_IMAGE_TYPE_MAX] = {
                [IMAGE_DIRECTORY] = "directory", [IMAGE_SUBVOLUME] = "subvolume", [IMAGE_RAW] = "raw",
                [IMAGE_BLOCK] = "block",         [IMAGE_STACK] = "stack",
        };

        return names[type];
}

/* -ENOENT for what is no image of that type. */
static int check_type(int fd, ImageType wanted, ImageType *ret)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (wanted != IMAGE_DIRECTORY) {
                *ret = wanted;
                return (wanted == IMAGE_RAW ? S_ISREG(st.st_mode) : S_ISDIR(st.st_mode)) ? 0 : -ENOENT;
        }
        *ret = S_ISBLK(st.st_mode)      ? IMAGE_BLOCK
               : image_is_subvolume(fd) ? IMAGE_SUBVOLUME
                                        : IMAGE_DIRECTORY;
        return S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode) ? 0 : -ENOENT;
}

static int open_typed(int store_fd, const char *file, int flags, ImageType wanted, ImageType *ret)
{
        _cleanup_close_ int fd = openat(store_fd, file, O_PATH | O_CLOEXEC | flags);
        int r = fd < 0 ? -errno : check_type(fd, wanted, ret);

        return r < 0 ? r : TAKE_FD(fd);
}

int image_open_in(int store_fd, const char *name, int flags, ImageType *ret_type, char **ret_file)
{
        _cleanup_free_ char *file = strdup(name);
        ImageType type;

        OOM_CHECK(file);
        _cleanup_close_ int fd = open_typed(store_fd, file, flags, IMAGE_DIRECTORY, &type);
        for (size_t i = 0; i < ELEMENTSOF(suffixes) && fd < 0; i++) {
                free(file);
                file = strf("%s%s", name, suffixes[i].suffix);
                OOM_CHECK(file);
                fd = open_typed(store_fd, file, flags, suffixes[i].type, &type);
        }
        if (fd < 0)
                return fd == -ENAMETOOLONG ? -ENOENT : fd;
        if (ret_type)
                *ret_type = type;
        if (ret_file)
                *ret_file = TAKE_PTR(file);
        return TAKE_FD(fd);
}

/* Somebody may have been killed while a directory became a stack. */
static bool recover(int store_fd)
{
        _cleanup_close_ int lock_fd = dir_open_at(store_fd, LAYERS_DIR);

        /* Who has it is at work, and not dead. */
        return lock_fd >= 0 && flock(lock_fd, LOCK_EX | LOCK_NB) >= 0 && stack_recover(store_fd) >= 0;
}

static int find_in_store(const char *name, char **ret_path)
{
        _cleanup_free_ char *file = NULL;
        _cleanup_close_ int store_fd = open(IMAGE_STORE, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno : image_open_in(store_fd, name, 0, NULL, &file);

        if (fd == -ENOENT && recover(store_fd))
                fd = image_open_in(store_fd, name, 0, NULL, &file);
        if (fd < 0)
                return fd;
        *ret_path = strf("%s/%s", IMAGE_STORE, file);
        return 0;
}

/* There is something of that name. */
static bool is_something(const char *name)
{
        _cleanup_close_ int store_fd = open(IMAGE_STORE, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return store_fd >= 0 && faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

int image_find(const char *image, char **ret_path, char **ret_error)
{
        _cleanup_free_ char *path = NULL;
        bool by_name = image[0] != '/';
        struct stat st, root;
        int r;

        if (by_name && !image_name_valid(image)) {
                _cleanup_free_ char *shown = str_escape(image);
                *ret_error = strf("Invalid name of an image: '%.80s'.", strna(shown));
                return -EINVAL;
        }
        r = by_name ? find_in_store(image, &path) : 0;
        if (r >= 0 && !by_name)
                path = strdup(image);
        if (r >= 0)
                OOM_CHECK(path);
        if (r < 0 || stat(path, &st) < 0) {
                int e = r < 0 ? -r : errno;
                if (e == ENOENT && by_name && is_something(image))
                        *ret_error = strf(
                                "'%s' in %s is no image: that is a directory, or a disk called NAME.raw.",
                                image, IMAGE_STORE);
                else if (e == ENOENT && by_name)
                        *ret_error = strf("No image '%s' in %s.", image, IMAGE_STORE);
                else
                        *ret_error = strf("Cannot open image '%s': %s.", image, strerror(e));
                return -e;
        }
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
                *ret_error = strf("Image '%s' is neither a directory nor a disk.", image);
                return -ENOTDIR;
        }
        if (stat("/", &root) >= 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino) {
                *ret_error = strdup("The root of the host is no image.");
                return -EBUSY;
        }
        *ret_path = TAKE_PTR(path);
        return 0;
}

bool image_new_name_valid(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (endswith(name, suffixes[i].suffix))
                        return false;
        return image_name_valid(name) && !beside_is(name) && !streq(name, "lost+found");
}

int image_name_from_file(const char *file, char **ret)
{
        size_t n = strlen(file);

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (endswith(file, suffixes[i].suffix))
                        n = strlen(file) - strlen(suffixes[i].suffix);
        *ret = strndup(file, n);
        OOM_CHECK(*ret);
        if (image_name_valid(*ret))
                return 0;
        free(*ret);
        *ret = NULL;
        return -EINVAL;
}

int verify_mode_from_string(const char *s)
{
        static const char *const names[_VERIFY_MODE_MAX] = {
                [VERIFY_DEFAULT] = "",
                [VERIFY_NO] = "no",
                [VERIFY_CHECKSUM] = "checksum",
                [VERIFY_SIGNATURE] = "signature",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return (int) i;
        return -EINVAL;
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
        struct stat st;
        int flags = 0;

        if (fstat(image_fd, &st) >= 0 && S_ISREG(st.st_mode))
                return !(st.st_mode & 0222);
        if (image_is_subvolume(image_fd))
                return ioctl(image_fd, BTRFS_IOC_SUBVOL_GETFLAGS, &subvolume) >= 0 &&
                       (subvolume & BTRFS_SUBVOL_RDONLY);
        return ioctl(image_fd, FS_IOC_GETFLAGS, &flags) >= 0 && (flags & FS_IMMUTABLE_FL);
}

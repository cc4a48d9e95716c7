/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "basic/names.h"
#include "basic/os-release.h"
#include "basic/parse.h"
#include "basic/rootfs.h"
#include "basic/str.h"
#include "spec/image-ref.h"
#include "store/beside.h"
#include "store/image.h"

#define SUBVOLUME_INO 256U

static const char *const init_paths[] = { "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/sbin/init" };

/* The type of an image by its suffix. Directories and block devices have no suffix. */
static const struct {
        const char *suffix;
        ImageType type;
} suffixes[] = {
        { IMAGE_RAW_SUFFIX, IMAGE_RAW },
        { STACK_SUFFIX, IMAGE_STACK },
};

const char *image_type_to_string(ImageType type)
{
        static const char *const names[_IMAGE_TYPE_MAX] = {
                [IMAGE_DIRECTORY] = "directory", [IMAGE_SUBVOLUME] = "subvolume", [IMAGE_RAW] = "raw",
                [IMAGE_BLOCK] = "block",         [IMAGE_STACK] = "stack",
        };

        return names[type];
}

/* -ENOENT if the file is no image of the wanted type. */
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

static int find_in_store(const Scope *scope, const char *name, char **ret_path)
{
        _cleanup_free_ char *file = NULL;
        _cleanup_close_ int store_fd = open(scope->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = store_fd < 0 ? -errno : image_open_in(store_fd, name, 0, NULL, &file);

        if (fd < 0)
                return fd;
        *ret_path = strf("%s/%s", scope->store, file);
        return 0;
}

/* Whether a file of that name exists, image or not. */
static bool is_something(const Scope *scope, const char *name)
{
        _cleanup_close_ int store_fd = open(scope->store, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return store_fd >= 0 && faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

int image_find(const Scope *scope, const char *image, char **ret_path, char **ret_error)
{
        _cleanup_free_ char *path = NULL;
        struct stat st, root;
        ImageRef ref;
        int r;

        if (image_ref_parse(image, &ref) < 0 || (ref.kind == IMAGE_REF_PATH && image[0] != '/')) {
                _cleanup_free_ char *shown = str_escape(image);
                *ret_error = strf("Invalid name of an image: '%.80s'.", strna(shown));
                return -EINVAL;
        }
        bool by_name = ref.kind != IMAGE_REF_PATH;
        r = ref.kind == IMAGE_REF_NAME ? find_in_store(scope, image, &path) : by_name ? -ENOENT : 0;
        if (r >= 0 && !by_name)
                path = strdup(image);
        if (r >= 0)
                OOM_CHECK(path);
        if (r < 0 || stat(path, &st) < 0) {
                int e = r < 0 ? -r : errno;
                if (e == ENOENT && ref.kind == IMAGE_REF_NAME && is_something(scope, image))
                        *ret_error = strf(
                                "'%s' in %s is not an image. An image is a directory, or a disk NAME.raw.",
                                image, scope->store);
                else if (e == ENOENT && by_name)
                        *ret_error = image_ref_describe_missing(&ref, scope->store);
                else
                        *ret_error = strf("Cannot open image '%s': %s.", image, strerror(e));
                return -e;
        }
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
                *ret_error = strf("Image '%s' is neither a directory nor a disk.", image);
                return -ENOTDIR;
        }
        if (stat("/", &root) >= 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino) {
                *ret_error = strdup("The root directory of the host cannot be used as an image.");
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
        return image_name_valid(name) && !strchr(name, ' ') && !beside_is(name) &&
               !streq(name, "lost+found");
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

void image_info_clear(ImageInfo *info)
{
        free(info->init);
        free(info->os);
        *info = (ImageInfo){};
}

/* By the name of the program that the path of the init leads to, and by a file that such an init reads. An
 * init without a name of its own, "/sbin/init", is known by that file alone. */
static InitReadiness find_readiness(int root_fd, const char *init)
{
        static const struct {
                const char *program, *file; /* NULL for any */
                InitReadiness readiness;
        } inits[] = {
                { "systemd", NULL, INIT_NOTIFIES },
                { "busybox", NULL, INIT_SILENT },
                { "dinit", NULL, INIT_SILENT },
                { "finit", NULL, INIT_SILENT },
                { "openrc-init", NULL, INIT_SILENT },
                { "runit-init", NULL, INIT_SILENT },
                { "s6-linux-init", NULL, INIT_SILENT },
                { "s6-svscan", NULL, INIT_SILENT },
                { "tini", NULL, INIT_SILENT },
                { NULL, "/etc/inittab", INIT_SILENT }, /* sysvinit */
                { NULL, "/etc/finit.conf", INIT_SILENT },
                { NULL, "/etc/s6-linux-init", INIT_SILENT },
                { NULL, "/etc/runit/1", INIT_SILENT },
        };
        _cleanup_free_ char *path = NULL;

        if (!init || rootfs_resolve(root_fd, init, &path) < 0)
                return INIT_UNKNOWN;
        const char *slash = strrchr(path, '/'), *program = slash ? slash + 1 : path;
        for (size_t i = 0; i < ELEMENTSOF(inits); i++)
                if (inits[i].program ? streq(program, inits[i].program)
                                     : streq(program, "init") && rootfs_exists(root_fd, inits[i].file))
                        return inits[i].readiness;
        return INIT_UNKNOWN;
}

/* Older versions have the number in the name of a library, beside the programs of systemd. */
static unsigned find_systemd_version(int root_fd)
{
        static const char library[] = "libsystemd-shared-";
        unsigned version = 0;

        int fd = rootfs_open(root_fd, "/lib/systemd", O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return 0;
        DIR *dir = fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return 0;
        }
        for (struct dirent *entry; version == 0 && (entry = readdir(dir));) {
                const char *rest = startswith(entry->d_name, library);
                if (rest)
                        version = strtoul(rest + (*rest == 'v'), NULL, 10);
        }
        closedir(dir);
        return version;
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
                return; /* "uninitialized", or not set yet */
        memcpy(uuid, text, 33);
}

int image_inspect(int root_fd, ImageInfo *ret)
{
        _cleanup_image_info_ ImageInfo info = {};
        int r;

        r = find_init(root_fd, &info.init);
        if (r < 0)
                return r;
        info.readiness = find_readiness(root_fd, info.init);
        if (info.readiness == INIT_NOTIFIES)
                info.systemd = find_systemd_version(root_fd);
        read_machine_id(root_fd, info.uuid);
        info.has_localtime = rootfs_exists(root_fd, "/etc/localtime");
        (void) os_release_read(root_fd, &info.os, NULL);
        if (!info.os)
                info.os = strdup("");
        OOM_CHECK(info.os);
        *ret = info;
        info = (ImageInfo){};
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

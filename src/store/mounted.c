/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/mounted.h"

#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "mount/mountinfo.h"
#include "store/image.h"
#include "store/stack.h"

#define LOOP_MAJOR 7U

typedef struct Search {
        ImageType type;
        const char *file;
        struct stat st;
        /* for stacks: "/ID/upper", which appears in the options of the overlay of this stack only */
        char *layer;
        Strv found;
} Search;

/* Loop devices are compared by the file behind them, since a device may show only a partition of the
 * disk. */
static bool is_loop_of(unsigned number, const struct stat *disk)
{
        struct loop_info64 info;
        char path[32];

        snprintf(path, sizeof(path), "/dev/loop%u", number);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) >= 0 && info.lo_inode == disk->st_ino &&
               info.lo_device == disk->st_dev;
}

/* The mounted device may be a dm-verity device, with the loop device below it. */
static bool is_disk(const KernelMount *entry, const struct stat *disk)
{
        char path[64];
        unsigned number;

        if (entry->major == LOOP_MAJOR)
                return is_loop_of(entry->minor, disk);
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", entry->major, entry->minor);
        _cleanup_(closedir_cleanup) DIR *dir = opendir(path);
        for (struct dirent *e; dir && (e = readdir(dir));)
                if (sscanf(e->d_name, "loop%u", &number) == 1 && is_loop_of(number, disk))
                        return true;
        return false;
}

/* stat() is called only for mounts whose root has the name of the image. */
static bool is_directory(const KernelMount *entry, const Search *search)
{
        const char *name = strrchr(entry->root, '/');
        struct stat st;

        return name && streq(name + 1, search->file) && stat(entry->point, &st) >= 0 &&
               st.st_dev == search->st.st_dev && st.st_ino == search->st.st_ino;
}

static int match(void *userdata, const KernelMount *entry)
{
        Search *search = userdata;
        bool found = search->type == IMAGE_STACK
                             ? streq(entry->fs, "overlay") && strstr(entry->options, search->layer)
                     : search->type == IMAGE_RAW ? is_disk(entry, &search->st)
                                                 : is_directory(entry, search);

        return found ? strv_append(&search->found, entry->point) : 0;
}

int layers_find_mounts(const Layers *layers, Strv *ret)
{
        _cleanup_free_ char *layer = strf("/%s/upper", layers->ids[0]);
        Search search = { .type = IMAGE_STACK, .layer = layer };
        int r;

        OOM_CHECK(layer);
        r = mountinfo_each(match, &search);
        *ret = search.found;
        return r;
}

int image_find_mounts(int store_fd, const char *name, Strv *ret)
{
        _cleanup_stack_ Stack stack = {};
        _cleanup_free_ char *file = NULL;
        Search search = {};
        int r;

        _cleanup_close_ int fd = image_open_in(store_fd, name, O_NOFOLLOW, &search.type, &file);
        if (fd < 0 || fstat(fd, &search.st) < 0)
                return fd < 0 ? fd : -errno;
        search.file = file;
        if (search.type != IMAGE_STACK) {
                r = mountinfo_each(match, &search);
                *ret = search.found;
                return r;
        }
        _cleanup_close_ int stack_fd = fd_reopen(fd, O_RDONLY | O_DIRECTORY);
        r = stack_fd < 0 ? stack_fd : stack_read(stack_fd, &stack);
        return r < 0 ? r : layers_find_mounts(&stack.layers, ret);
}

typedef struct Inner {
        const char *path; /* of the image */
        Strv found;
} Inner;

static int match_inner(void *userdata, const KernelMount *entry)
{
        Inner *inner = userdata;
        const char *below = startswith(entry->point, inner->path);

        return below && *below == '/' ? strv_append(&inner->found, entry->point) : 0;
}

int image_find_inner_mounts(int store_fd, const char *name, Strv *ret)
{
        char link[32], path[PATH_MAX];
        Inner inner = { .path = path };

        _cleanup_close_ int fd = image_open_in(store_fd, name, O_NOFOLLOW, NULL, NULL);
        if (fd < 0)
                return fd;
        snprintf(link, sizeof(link), "/proc/self/fd/%i", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return -errno;
        path[n] = 0;
        int r = mountinfo_each(match_inner, &inner);
        *ret = inner.found;
        return r;
}

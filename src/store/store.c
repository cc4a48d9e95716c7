/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "basic/names.h"
#include "basic/random.h"
#include "basic/tree.h"
#include "store/beside.h"
#include "store/identity.h"
#include "store/image.h"
#include "store/quota.h"
#include "store/reserve.h"
#include "store/stack.h"
#include "store/store.h"
#include "store/subvolume.h"

#define LOCK    ".#mctl.lck"
#define RESERVE ".#mctl.reserve"

#define RESERVE_SIZE (256 * 1024)
#define IMAGES_MAX   4096U

static int set_read_only(int fd, bool read_only)
{
        struct stat st;
        int flags;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISREG(st.st_mode))
                return RET_NERRNO(fchmod(fd, read_only ? st.st_mode & 07555 : st.st_mode | 0200));
        if (image_is_subvolume(fd))
                return subvolume_set_read_only(fd, read_only);
        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return errno == ENOTTY ? -EOPNOTSUPP : -errno;
        flags = read_only ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        return RET_NERRNO(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/* Opens a directory or a regular file by its file name, for ioctls and modes. */
static int open_file(int store_fd, const char *file)
{
        struct stat st;

        _cleanup_close_ int fd = openat(store_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) ? TAKE_FD(fd) : -ENOTDIR;
}

typedef struct Image {
        ImageType type;
        char *file; /* file name in the store */
        int fd;
} Image;

static void image_clear(Image *image)
{
        free(image->file);
        fd_close(image->fd);
}
#define _cleanup_image_ _cleanup_(image_clear)

/* Opens an image of that name. Block devices are refused: the store does not own them. */
static int find(int store_fd, const char *name, Image *ret)
{
        _cleanup_free_ char *file = NULL;
        ImageType type;

        _cleanup_close_ int path_fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, &file);
        if (path_fd < 0)
                return path_fd;
        _cleanup_close_ int fd = open_file(store_fd, file);
        if (fd < 0)
                return fd;
        *ret = (Image){ type, TAKE_PTR(file), TAKE_FD(fd) };
        return 0;
}

/* Returns the file name of an image of this type and name. */
static int file_name(ImageType type, const char *name, char **ret)
{
        *ret = strf("%s%s", name,
                    type == IMAGE_RAW     ? IMAGE_RAW_SUFFIX
                    : type == IMAGE_STACK ? STACK_SUFFIX
                                          : "");
        OOM_CHECK(*ret);
        return 0;
}

bool store_has(int store_fd, const char *name)
{
        _cleanup_close_ int fd = image_open_in(store_fd, name, O_NOFOLLOW, NULL, NULL);

        return fd >= 0 || faccessat(store_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

/* --- hidden names -------------------------------------------------------------------------------------- */

static char *hidden_name(void)
{
        return strf(TREE_HIDDEN "%016" PRIx64, random_u64());
}

/* Lists the files of a store that begin with `prefix`, without "." and "..". */
static int list(int store_fd, const char *prefix, Strv *ret)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_strv_ Strv names = NULL;
        int r = 0, fd = openat(store_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && strv_length(names) < IMAGES_MAX && (e = readdir(dir));)
                if (startswith(e->d_name, prefix) && !streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = strv_append(&names, e->d_name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(names);
        return 0;
}

/* Subvolumes are destroyed with those below them, which is faster than to remove their files. */
int store_destroy(int store_fd, const char *name, char **ret_failed)
{
        _cleanup_close_ int fd = open_file(store_fd, name);

        if (fd >= 0) {
                (void) set_read_only(fd, false);
                if (image_is_subvolume(fd))
                        return subvolume_destroy(store_fd, name);
        }
        return tree_remove_all(store_fd, name, ret_failed);
}

void store_sweep_layers(int store_fd)
{
        _cleanup_strv_ Strv names = NULL;

        (void) stack_sweep(store_fd, &names);
        STRV_FOREACH (name, names)
                (void) store_destroy(store_fd, *name, NULL);
        (void) subvolume_sweep(store_fd);
}

static void sweep(int store_fd)
{
        _cleanup_strv_ Strv names = NULL;
        int r = stack_recover(store_fd); /* the exclusive lock of the store is held */

        /* A hidden stack may be the only one whose manifest names the layers of an image. */
        if (r < 0) {
                log_debug_errno(r, "Failed to recover stacks; nothing is swept");
                return;
        }
        (void) list(store_fd, TREE_HIDDEN, &names);
        STRV_FOREACH (name, names)
                (void) store_destroy(store_fd, *name, NULL);
        store_sweep_layers(store_fd);
}

static int lock(int fd, short type, bool wait)
{
        struct flock l = { .l_type = type, .l_whence = SEEK_SET };
        int r;

        while ((r = RET_NERRNO(fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l))) == -EINTR)
                ;
        return r;
}

int store_open(const char *path)
{
        int r;

        _cleanup_close_ int store_fd = dir_open_or_make_at(AT_FDCWD, path, 0700);
        if (store_fd < 0)
                return store_fd;
        int lock_fd = openat(store_fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock_fd < 0 && errno == EROFS)
                return TAKE_FD(store_fd); /* the store is read-only */
        if (lock_fd < 0)
                return -errno;
        /* The exclusive lock is for sweeping only. The shared lock lasts until this process exits: lock_fd
         * stays open. */
        if (lock(lock_fd, F_WRLCK, false) >= 0)
                sweep(store_fd);
        reserve_keep(store_fd);
        r = lock(lock_fd, F_RDLCK, true);
        if (r < 0) {
                fd_close(lock_fd);
                return r;
        }
        return TAKE_FD(store_fd);
}

int store_lock_image(int store_fd, const char *name, bool exclusive, StoreLock *ret)
{
        _cleanup_free_ char *file = NULL, *lock_file = NULL;
        struct stat st;

        _cleanup_close_ int image_fd = image_open_in(store_fd, name, O_NOFOLLOW, NULL, &file);
        lock_file = strf(".#%s.lck", image_fd >= 0 ? file : name);
        OOM_CHECK(lock_file);
        _cleanup_close_ int own_fd = fcntl(store_fd, F_DUPFD_CLOEXEC, 3);
        if (own_fd < 0)
                return -errno;
        for (;;) {
                _cleanup_close_ int fd = openat(store_fd, lock_file,
                                                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0)
                        return -errno;
                int r = lock(fd, exclusive ? F_WRLCK : F_RDLCK, false);
                if (r < 0)
                        return r == -EAGAIN || r == -EACCES ? -EBUSY : r;
                if (fstat(fd, &st) >= 0 && st.st_nlink > 0) {
                        /* Otherwise, the holder of the lock before has removed the file. */
                        *ret = (StoreLock){ TAKE_FD(own_fd), TAKE_FD(fd), TAKE_PTR(lock_file) };
                        return 0;
                }
        }
}

void store_unlock_image(StoreLock *l)
{
        if (l->fd >= 0 && lock(l->fd, F_WRLCK, false) >= 0)
                (void) unlinkat(l->store_fd, l->file, 0);
        if (l->fd >= 0)
                fd_close(l->store_fd);
        l->fd = fd_close(l->fd);
        free(l->file);
        l->file = NULL;
}

/* --- changes ------------------------------------------------------------------------------------------- */

static int rename_new(int store_fd, const char *name, const char *new_name)
{
        return RET_NERRNO(renameat2(store_fd, name, store_fd, new_name, RENAME_NOREPLACE));
}

/* The files beside an image that belong to it. Hashes belong to disks, and a disk may have the same name as
 * a directory. */
static Beside files_of(const Image *image)
{
        return image->type == IMAGE_RAW ? BESIDE_ALL : BESIDE_SETTINGS;
}

static int copy_one(TreeCopy *copy, int store_fd, const char *name, const char *new_name)
{
        _cleanup_close_ int fd = openat(store_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : tree_copy(copy, fd, store_fd, new_name);
}

/* --- clones -------------------------------------------------------------------------------------------- */

/* Opens the tree of an image that may still have a hidden name, for reading or for changes. */
static int tree_of(int store_fd, ImageType type, const char *file, bool writable)
{
        _cleanup_stack_ Stack stack = {};
        _cleanup_close_ int fd = dir_open_at(store_fd, file);

        if (fd < 0)
                return fd;
        if (type != IMAGE_STACK)
                return TAKE_FD(fd);
        int r = stack_read(fd, &stack);
        return r < 0 ? r : layers_mount(store_fd, &stack.layers, writable);
}

/* Whether nobody writes to a directory: it is read-only, or the base of a stack. An error counts as a
 * base. */
static bool is_base(int store_fd, const Image *image)
{
        struct stat st;

        return image_is_read_only(image->fd) ||
               (fstat(image->fd, &st) >= 0 && stack_find_user(store_fd, st.st_ino, NULL) != 0);
}

/* Converts a directory to a stack of the same name. */
static int convert(int store_fd, const char *name, Stack *ret)
{
        _cleanup_free_ char *hidden = NULL, *file = strf("%s" STACK_SUFFIX, name);
        int r;

        OOM_CHECK(file);
        r = stack_convert(store_fd, name, ret, &hidden);
        if (r >= 0)
                r = rename_new(store_fd, hidden, file);
        return r < 0 ? r : stack_has_become(store_fd, file, ret);
}

int store_open_versioned(int store_fd, const char *name, bool convert_it, ImageType *ret_type)
{
        _cleanup_stack_ Stack stack = {};
        _cleanup_image_ Image image = { .fd = -EBADF };
        int r = find(store_fd, name, &image);

        if (r < 0)
                return r;
        *ret_type = image.type;
        if (image.type == IMAGE_STACK || image.type == IMAGE_SUBVOLUME)
                return TAKE_FD(image.fd);
        if (image.type != IMAGE_DIRECTORY || !convert_it || is_base(store_fd, &image))
                return -EOPNOTSUPP;
        r = convert(store_fd, name, &stack);
        return r < 0 ? r : store_open_versioned(store_fd, name, false, ret_type);
}

int store_open_tree(int store_fd, const char *name)
{
        _cleanup_image_ Image image = { .fd = -EBADF };
        int r = find(store_fd, name, &image);

        return r < 0                     ? r
               : image.type == IMAGE_RAW ? -ENOTDIR
                                         : tree_of(store_fd, image.type, image.file, false);
}

static int share_stack(int store_fd, int stack_fd, Layers *ret)
{
        _cleanup_stack_ Stack stack = {};
        int r = stack_read(stack_fd, &stack);
        bool clean = r >= 0 && layers_are_clean(store_fd, &stack.layers),
             read_only = image_is_read_only(stack_fd);

        if (r >= 0)
                r = layers_copy(ret, &stack.layers, clean);
        if (r < 0 || clean)
                return r;
        /* The first layer is shared from now on, so the stack writes to a new one. */
        r = layers_push(store_fd, &stack.layers, &stack.layers);
        if (r >= 0 && read_only)
                r = set_read_only(stack_fd, false);
        if (r >= 0)
                r = stack_write(stack_fd, &stack);
        if (read_only)
                (void) set_read_only(stack_fd, true);
        return r;
}

int store_share(int store_fd, const char *name, Layers *ret)
{
        _cleanup_image_ Image image = { .fd = -EBADF };
        _cleanup_stack_ Stack stack = {};
        struct stat st;
        int r = find(store_fd, name, &image);

        if (r < 0)
                return r;
        if (image.type == IMAGE_STACK)
                return share_stack(store_fd, image.fd, ret);
        if (image.type != IMAGE_DIRECTORY)
                return -EOPNOTSUPP;
        if (!is_base(store_fd, &image)) {
                r = convert(store_fd, name, &stack);
                return r < 0 ? r : layers_copy(ret, &stack.layers, 1);
        }
        if (fstat(image.fd, &st) < 0)
                return -errno;
        ret->base_inode = st.st_ino;
        return free_and_strdup(&ret->base, name);
}

static int clone_stack(int store_fd, const char *name, char **ret_hidden)
{
        _cleanup_stack_ Stack new = {};
        int r;

        _cleanup_close_ int lock_fd = stack_lock(store_fd);
        if (lock_fd < 0)
                return lock_fd;
        r = store_share(store_fd, name, &new.layers);
        if (r >= 0)
                r = layers_push(store_fd, &new.layers, NULL);
        return r < 0 ? r : stack_make(store_fd, &new, ret_hidden);
}

/* btrfs copies the limit of the source, but clones have no limit. */
static int clone_subvolume(int store_fd, int image_fd, const char *hidden)
{
        int r = subvolume_copy(image_fd, store_fd, hidden, false);
        _cleanup_close_ int fd = r < 0 ? r : subvolume_open(store_fd, hidden);

        return fd < 0 ? fd : quota_get_limit(fd) == UINT64_MAX ? 0 : quota_set_limit(fd, UINT64_MAX);
}

/* Returns the type of the clone. A subvolume counts as a directory, which is named in the same way. */
static int make_clone(int store_fd, const char *name, const Image *image, unsigned flags, TreeCopy *copy,
                      char **ret_hidden)
{
        _cleanup_free_ char *hidden = hidden_name();
        int r;

        OOM_CHECK(hidden);
        if ((image->type == IMAGE_DIRECTORY || image->type == IMAGE_STACK) && !(flags & STORE_COPY))
                r = clone_stack(store_fd, name, ret_hidden);
        else if (image->type == IMAGE_SUBVOLUME && !(flags & STORE_COPY)) {
                r = clone_subvolume(store_fd, image->fd, hidden);
                *ret_hidden = TAKE_PTR(hidden);
        } else if (image->type == IMAGE_STACK) {
                _cleanup_close_ int tree_fd = tree_of(store_fd, IMAGE_STACK, image->file, false);
                r = tree_fd < 0 ? tree_fd : tree_copy(copy, tree_fd, store_fd, hidden);
                *ret_hidden = TAKE_PTR(hidden);
        } else {
                r = copy_one(copy, store_fd, image->file, hidden);
                *ret_hidden = TAKE_PTR(hidden);
        }
        return r < 0                                                    ? r
               : image->type == IMAGE_RAW                               ? IMAGE_RAW
               : image->type == IMAGE_SUBVOLUME || (flags & STORE_COPY) ? IMAGE_DIRECTORY
                                                                        : IMAGE_STACK;
}

/* A clone of a stack stores its identity in its first layer. syncfs() reports errors of the file system,
 * which the unmount would not. */
static int give_identity(int store_fd, ImageType type, const char *hidden)
{
        _cleanup_close_ int tree_fd = tree_of(store_fd, type, hidden, true);
        int r = tree_fd < 0 ? tree_fd : identity_forget(tree_fd);

        if (r < 0 || type != IMAGE_STACK)
                return r;
        _cleanup_close_ int fd = fd_reopen(tree_fd, O_RDONLY | O_DIRECTORY);
        return fd < 0 ? fd : RET_NERRNO(syncfs(fd));
}

/* Changes the clone while its name is hidden, and syncs what was copied and the manifest. */
static int prepare_clone(int store_fd, ImageType type, const char *hidden, unsigned flags,
                         const TreeCopy *copy)
{
        bool keeps = type == IMAGE_RAW || (flags & STORE_KEEP_IDENTITY),
             copied = type == IMAGE_RAW || (flags & STORE_COPY);
        int r = keeps ? 0 : give_identity(store_fd, type, hidden);

        if (r >= 0 && type == IMAGE_RAW) {
                _cleanup_close_ int fd = open_file(store_fd, hidden);
                r = fd < 0 ? fd : RET_NERRNO(fsync(fd));
        } else if (r >= 0 && (copied || (type == IMAGE_STACK && keeps)))
                r = RET_NERRNO(syncfs(store_fd));
        if (r >= 0 && copied && copy->is_cancelled && copy->is_cancelled())
                r = -ECANCELED;
        /* A copy of a read-only disk is writable unless STORE_READ_ONLY is set. An immutable directory
         * cannot be renamed, so commit_clone() sets the flag for good. */
        return r >= 0 && (type == IMAGE_RAW || (flags & STORE_READ_ONLY))
                       ? store_try_read_only(store_fd, hidden)
                       : r;
}

static int commit_clone(int store_fd, ImageType type, const char *hidden, const char *new_name,
                        unsigned flags)
{
        int r = store_commit(store_fd, type, hidden, new_name, false);

        return r < 0 || !(flags & STORE_READ_ONLY) ? r : store_set_read_only(store_fd, new_name, true);
}

int store_clone(int store_fd, const char *name, const char *new_name, unsigned flags, TreeCopy *copy)
{
        _cleanup_free_ char *beside = hidden_name(), *hidden = NULL;
        _cleanup_image_ Image image = { .fd = -EBADF };
        ImageType type = IMAGE_DIRECTORY;
        Beside copied = 0, placed = 0;
        int r;

        OOM_CHECK(beside);
        r = find(store_fd, name, &image);
        if (r < 0)
                return r;
        if (store_has(store_fd, new_name))
                return -EEXIST;
        if ((flags & STORE_PLAIN) && image.type != IMAGE_SUBVOLUME)
                flags |= STORE_COPY;
        r = beside_copy(store_fd, name, beside, files_of(&image), &copied);
        if (r >= 0)
                r = make_clone(store_fd, name, &image, flags, copy, &hidden);
        if (r >= 0) {
                type = r;
                r = prepare_clone(store_fd, type, hidden, flags, copy);
        }
        if (r >= 0)
                r = beside_link(store_fd, beside, new_name, BESIDE_ALL, &placed);
        if (r >= 0)
                r = commit_clone(store_fd, type, hidden, new_name, flags);
        beside_remove(store_fd, beside, copied);
        if (r < 0 && !store_has(store_fd, new_name))
                beside_remove(store_fd, new_name, placed);
        if (r < 0 && hidden) {
                (void) store_destroy(store_fd, hidden, NULL);
                store_sweep_layers(store_fd);
        }
        return r;
}

/* --- new ones, and other changes ----------------------------------------------------------------------- */

static int make_empty(int store_fd, ImageType type, const char *file)
{
        if (type == IMAGE_RAW) {
                _cleanup_close_ int fd = openat(store_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                                0600);
                return fd < 0 ? -errno : 0;
        }
        return subvolume_make(store_fd, file) >= 0 ? 0 : RET_NERRNO(mkdirat(store_fd, file, 0755));
}

int store_begin(int store_fd, ImageType type, char **ret_hidden)
{
        _cleanup_free_ char *hidden = hidden_name();
        int r;

        OOM_CHECK(hidden);
        r = make_empty(store_fd, type, hidden);
        if (r >= 0)
                *ret_hidden = TAKE_PTR(hidden);
        return r;
}

/* Replaces an image. If the old image has another type, and so another file name, the new image gets its
 * name before the old image is hidden. */
static int replace(int store_fd, const char *hidden, const char *name, const char *file)
{
        _cleanup_free_ char *other = NULL;
        _cleanup_image_ Image image = { .fd = -EBADF };
        int r = find(store_fd, name, &image);

        if (r < 0)
                /* a symbolic link or another file: not an image of the store */
                return r == -ENOENT ? -ENOTDIR : r;
        (void) set_read_only(image.fd, false);
        if (streq(image.file, file))
                return RET_NERRNO(renameat2(store_fd, hidden, store_fd, file, RENAME_EXCHANGE));
        other = hidden_name();
        OOM_CHECK(other);
        r = rename_new(store_fd, hidden, file);
        if (r >= 0 && image.type == IMAGE_STACK)
                r = stack_unmark(image.fd);
        if (r >= 0)
                r = rename_new(store_fd, image.file, other);
        return r < 0 ? r : rename_new(store_fd, other, hidden);
}

int store_commit(int store_fd, ImageType type, const char *hidden, const char *name, bool replacing)
{
        _cleanup_free_ char *file = NULL;
        int r = file_name(type, name, &file);

        _cleanup_close_ int lock_fd = type == IMAGE_STACK ? stack_lock(store_fd) : -EBADF;
        if (type == IMAGE_STACK && lock_fd < 0)
                return lock_fd;
        if (r >= 0)
                r = !store_has(store_fd, name) ? rename_new(store_fd, hidden, file)
                    : replacing                ? replace(store_fd, hidden, name, file)
                                               : -EEXIST;
        return r < 0 ? r : RET_NERRNO(fsync(store_fd));
}

/* Renames an image. Immutable directories cannot be renamed, so the flag is removed meanwhile. */
static int rename_image(int store_fd, const Image *image, const char *new_file)
{
        /* stack_sweep() must not miss the stack while its directory is renamed. */
        _cleanup_close_ int lock_fd = image->type == IMAGE_STACK ? stack_lock(store_fd) : -EBADF;
        if (image->type == IMAGE_STACK && lock_fd < 0)
                return lock_fd;
        bool immutable = (image->type == IMAGE_DIRECTORY || image->type == IMAGE_STACK) &&
                         image_is_read_only(image->fd);
        int r = immutable ? set_read_only(image->fd, false) : 0;

        if (r >= 0)
                r = rename_new(store_fd, image->file, new_file);
        if (immutable)
                (void) set_read_only(image->fd, true);
        /* After a power cut, a removed image must not be back. */
        return r < 0 ? r : RET_NERRNO(fsync(store_fd));
}

int store_rename(int store_fd, const char *name, const char *new_name)
{
        _cleanup_free_ char *new_file = NULL;
        _cleanup_image_ Image image = { .fd = -EBADF };
        Beside placed = 0;
        int r;

        r = find(store_fd, name, &image);
        if (r < 0)
                return r;
        if (store_has(store_fd, new_name))
                return -EEXIST;
        r = file_name(image.type, new_name, &new_file);
        /* A disk must never be without its root hash: the files beside it get the new name first. */
        if (r >= 0)
                r = beside_link(store_fd, name, new_name, files_of(&image), &placed);
        if (r >= 0)
                r = rename_image(store_fd, &image, new_file);
        /* An error does not tell which name the image has. If only the sync failed, the image has the new
         * name. If another process made an image with the new name first, that image keeps its files. */
        if (!store_has(store_fd, name))
                beside_remove(store_fd, name, placed);
        else if (!store_has(store_fd, new_name))
                beside_remove(store_fd, new_name, placed);
        return r;
}

/* stack_recover() takes a hidden stack with the mark for one that waits for its name. */
static int unmark(const Image *image)
{
        if (image_is_read_only(image->fd))
                (void) set_read_only(image->fd, false);
        return stack_unmark(image->fd);
}

int store_hide(int store_fd, const char *name, char **ret_hidden)
{
        _cleanup_free_ char *hidden = hidden_name();
        _cleanup_image_ Image image = { .fd = -EBADF };
        int r;

        OOM_CHECK(hidden);
        r = find(store_fd, name, &image);
        if (r >= 0 && image.type == IMAGE_STACK)
                r = unmark(&image);
        if (r >= 0)
                r = rename_image(store_fd, &image, hidden);
        if (r < 0)
                return r;
        beside_remove(store_fd, name, files_of(&image));
        *ret_hidden = TAKE_PTR(hidden);
        return 0;
}

int store_destroy_image(int store_fd, const char *hidden, char **ret_failed)
{
        int r = store_destroy(store_fd, hidden, ret_failed);

        store_sweep_layers(store_fd);
        return r;
}

int store_set_read_only(int store_fd, const char *name, bool read_only)
{
        _cleanup_image_ Image image = { .fd = -EBADF };
        int r = find(store_fd, name, &image);

        return r < 0 ? r : set_read_only(image.fd, read_only);
}

int store_try_read_only(int store_fd, const char *hidden)
{
        _cleanup_close_ int fd = open_file(store_fd, hidden);
        int r = fd < 0 ? fd : set_read_only(fd, true);

        return r < 0 ? r : set_read_only(fd, false);
}

/* Opens the directory of an image that quotas count. For stacks, this is the first layer. */
static int open_counted(int store_fd, const char *name, ImageType *ret_type)
{
        _cleanup_image_ Image image = { .fd = -EBADF };
        _cleanup_stack_ Stack stack = {};
        int r = find(store_fd, name, &image);

        if (r < 0)
                return r;
        *ret_type = image.type;
        if (image.type == IMAGE_RAW)
                return -ENOTDIR;
        if (image.type != IMAGE_STACK)
                return TAKE_FD(image.fd);
        r = stack_read(image.fd, &stack);
        return r < 0 ? r : layers_open_first(store_fd, &stack.layers);
}

int store_set_limit(int store_fd, const char *name, uint64_t limit)
{
        ImageType type;
        _cleanup_close_ int fd = open_counted(store_fd, name, &type);

        return fd < 0 ? fd : quota_set_limit(fd, limit);
}

uint64_t store_get_limit(int store_fd, const char *name)
{
        ImageType type;
        _cleanup_close_ int fd = open_counted(store_fd, name, &type);

        return fd < 0 ? UINT64_MAX : quota_get_limit(fd);
}

int store_adopt(int store_fd, const char *name, uint64_t limit, TreeCopy *copy)
{
        ImageType type;

        _cleanup_close_ int lock_fd = stack_lock(store_fd);
        if (lock_fd < 0)
                return lock_fd;
        _cleanup_close_ int fd = open_counted(store_fd, name, &type);
        if (fd < 0)
                return fd;
        if (image_is_read_only(fd))
                return -EROFS;
        copy->replace = true;
        copy->layer = type == IMAGE_STACK;
        return quota_adopt(copy, fd, limit);
}

int store_enable_quotas(int store_fd, const char *name)
{
        ImageType type;
        _cleanup_close_ int fd = open_counted(store_fd, name, &type);

        return fd < 0 ? fd : type == IMAGE_SUBVOLUME ? quota_switch_on(fd) : -EOPNOTSUPP;
}

int store_list(int store_fd, bool all, Strv *ret)
{
        _cleanup_strv_ Strv names = NULL, images = NULL;
        int r;

        r = list(store_fd, all ? "" : ".", &names);
        STRV_FOREACH (name, names) {
                if (r < 0)
                        return r;
                bool hidden = (*name)[0] == '.';
                _cleanup_free_ char *image = NULL, *full = NULL, *file = NULL;
                if (startswith(*name, ".#") || streq(*name, "lost+found") ||
                    image_name_from_file(*name + hidden, &image) < 0)
                        continue;
                full = strf("%s%s", hidden ? "." : "", image);
                OOM_CHECK(full);
                _cleanup_close_ int fd = image_open_in(store_fd, full, O_NOFOLLOW, NULL, &file);
                if (fd >= 0 && streq(file, *name))
                        r = strv_append(&images, full);
        }
        if (r >= 0)
                *ret = TAKE_PTR(images);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/subvolume.h"

#include <btrfsutil.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/macro.h"
#include "basic/names.h"
#include "basic/rootfs.h"
#include "basic/tree.h"
#include "image/image.h"

/* In the directory of the snapshots of an image: what is to be switched with it, until it is its snapshot; and for that time, the
 * UUID that the image has then, and the name of the snapshot. */
#define NEXT        ".next"
#define JOURNAL     ".journal"
#define JOURNAL_MAX 512U

/* The library sets errno where a call of the kernel failed. */
static int to_errno(enum btrfs_util_error error)
{
        return error == BTRFS_UTIL_OK ? 0 : errno > 0 ? -errno : -EIO;
}

static int open_directory(int dir_fd, const char *name)
{
        return RET_NERRNO(openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

int subvolume_destroy(int dir_fd, const char *name)
{
        _cleanup_close_ int fd = subvolume_open(dir_fd, name);

        if (fd < 0)
                return fd;
        (void) btrfs_util_set_subvolume_read_only_fd(fd, false);
        return to_errno(btrfs_util_delete_subvolume_fd(dir_fd, name, BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE));
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

/* A subvolume in another one is an empty directory in a copy of that. Who writes to the source may move it meanwhile: what is found in
 * its place is below the source in any case. */
static int copy_inner(int source_fd, int copy_fd, const char *path)
{
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = strndup(path, slash ? slash - path : 0);

        OOM_CHECK(parent);
        _cleanup_close_ int inner_fd = rootfs_open(source_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        _cleanup_close_ int parent_fd = rootfs_open(copy_fd, parent[0] ? parent : "/",
                                                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        const char *name = slash ? slash + 1 : path;
        if (inner_fd < 0 || parent_fd < 0 || !image_is_subvolume(inner_fd) ||
            unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
                return 0; /* gone meanwhile */
        return to_errno(btrfs_util_create_snapshot_fd2(inner_fd, parent_fd, name, 0, NULL, NULL));
}

static int seal_inner(int source_fd, int copy_fd, const char *path)
{
        (void) source_fd;
        _cleanup_close_ int fd = rootfs_open(copy_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

        return fd < 0 ? fd : to_errno(btrfs_util_set_subvolume_read_only_fd(fd, true));
}

/* Calls for each subvolume in another one, an outer before those in it. */
static int each_inner(int fd, int (*call)(int source_fd, int copy_fd, const char *path), int source_fd,
                      int copy_fd)
{
        struct btrfs_util_subvolume_iterator *i;
        enum btrfs_util_error error = btrfs_util_create_subvolume_iterator_fd(fd, 0, 0, &i);
        int r = to_errno(error);

        if (r < 0)
                return r;
        while (r >= 0) {
                _cleanup_free_ char *path = NULL;
                error = btrfs_util_subvolume_iterator_next(i, &path, NULL);
                if (error != BTRFS_UTIL_OK)
                        break;
                r = call(source_fd, copy_fd, path);
        }
        btrfs_util_destroy_subvolume_iterator(i);
        return r < 0 ? r : error == BTRFS_UTIL_ERROR_STOP_ITERATION ? 0 : to_errno(error);
}

int subvolume_copy(int image_fd, int dir_fd, const char *name, bool read_only)
{
        int r = to_errno(btrfs_util_create_snapshot_fd2(image_fd, dir_fd, name, 0, NULL, NULL));

        if (r < 0)
                return r;
        _cleanup_close_ int copy_fd = subvolume_open(dir_fd, name);
        r = copy_fd < 0 ? copy_fd : each_inner(image_fd, copy_inner, image_fd, copy_fd);
        if (r >= 0 && read_only)
                r = each_inner(copy_fd, seal_inner, -EBADF, copy_fd);
        if (r >= 0 && read_only)
                r = to_errno(btrfs_util_set_subvolume_read_only_fd(copy_fd, true));
        if (r < 0)
                (void) subvolume_destroy(dir_fd, name);
        return r;
}

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

int subvolume_take_snapshot(int store_fd, int image_fd, const char *name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, true);
        int r = dir_fd < 0 ? dir_fd : subvolume_copy(image_fd, dir_fd, name, true);

        return r < 0 ? r : to_errno(btrfs_util_sync_fd(dir_fd));
}

int subvolume_open_snapshot(int store_fd, int image_fd, const char *name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, false);

        return dir_fd < 0 ? dir_fd : subvolume_open(dir_fd, name);
}

int subvolume_remove_snapshot(int store_fd, int image_fd, const char *name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, false);

        return dir_fd < 0 ? dir_fd : subvolume_destroy(dir_fd, name);
}

/* --- another one in its place --------------------------------------------------------------------------------------- */

static int write_journal(int dir_fd, int next_fd, const char *keep)
{
        _cleanup_free_ char *text = NULL;
        SubvolumeInfo next;
        int r = subvolume_info(next_fd, &next);

        if (r < 0)
                return r;
        text = strf("%s %s", next.uuid, keep);
        OOM_CHECK(text);
        return file_write_atomic_at(dir_fd, JOURNAL, 0600, text, strlen(text));
}

/* Ends what has a journal. What was switched is a snapshot now, and the directory goes by the UUID that the image has; what was not, is
 * gone. */
static int settle(int snapshots_fd, const char *uuid)
{
        _cleanup_free_ char *text = NULL;
        SubvolumeInfo info;
        int r;

        _cleanup_close_ int dir_fd = open_directory(snapshots_fd, uuid);
        if (dir_fd < 0)
                return dir_fd;
        _cleanup_close_ int next_fd = subvolume_open(dir_fd, NEXT);
        r = file_read_at(dir_fd, JOURNAL, JOURNAL_MAX, &text, NULL);
        bool there = next_fd >= 0 && subvolume_info(next_fd, &info) >= 0;
        if (there && (r < 0 || !streq(info.uuid, uuid)))
                r = subvolume_destroy(dir_fd, NEXT);
        else if (r < 0)
                return r == -ENOENT ? 0 : r;
        else {
                const char *keep = strlen(text) > SUBVOLUME_UUID_LENGTH + 1
                                           ? text + SUBVOLUME_UUID_LENGTH + 1
                                           : "";
                text[MIN(strlen(text), SUBVOLUME_UUID_LENGTH)] = 0;
                if (!image_name_valid(keep) || strspn(text, "0123456789abcdef") != SUBVOLUME_UUID_LENGTH)
                        return -EBADMSG;
                if (there)
                        r = RET_NERRNO(renameat2(dir_fd, NEXT, dir_fd, keep, RENAME_NOREPLACE));
                if (r >= 0 && !streq(text, uuid))
                        r = RET_NERRNO(renameat2(snapshots_fd, uuid, snapshots_fd, text, RENAME_NOREPLACE));
        }
        if (r >= 0)
                (void) unlinkat(dir_fd, JOURNAL, 0);
        return r;
}

int subvolume_switch(int store_fd, const char *file, int source_fd, const char *keep,
                     SubvolumePrepare prepare, void *userdata)
{
        SubvolumeInfo info;
        int r;

        _cleanup_close_ int image_fd = subvolume_open(store_fd, file);
        _cleanup_close_ int dir_fd = image_fd < 0 ? image_fd
                                                  : subvolume_open_snapshots(store_fd, image_fd, true);
        if (dir_fd < 0)
                return dir_fd;
        r = subvolume_info(image_fd, &info);
        if (r >= 0)
                r = subvolume_copy(source_fd, dir_fd, NEXT, false);
        if (r < 0)
                return r;
        _cleanup_close_ int next_fd = subvolume_open(dir_fd, NEXT);
        r = next_fd < 0 ? next_fd : prepare ? prepare(next_fd, userdata) : 0;
        if (r >= 0)
                r = write_journal(dir_fd, next_fd, keep);
        /* Both are on disk before either has another name. */
        if (r >= 0)
                r = to_errno(btrfs_util_sync_fd(dir_fd));
        if (r >= 0)
                r = RET_NERRNO(renameat2(dir_fd, NEXT, store_fd, file, RENAME_EXCHANGE));
        if (r < 0) {
                (void) unlinkat(dir_fd, JOURNAL, 0);
                (void) subvolume_destroy(dir_fd, NEXT);
                return r;
        }
        _cleanup_close_ int snapshots_fd = open_directory(store_fd, SNAPSHOTS_DIR);
        r = snapshots_fd < 0 ? snapshots_fd : settle(snapshots_fd, info.uuid);
        return r < 0 ? r : to_errno(btrfs_util_sync_fd(dir_fd));
}

/* --- what is nobody's ----------------------------------------------------------------------------------------------- */

/* Whether a subvolume of the file system has that UUID: 1, or 0. */
static int has_uuid(int fd, const char *uuid)
{
        struct btrfs_util_subvolume_iterator *i;
        enum btrfs_util_error error = btrfs_util_create_subvolume_iterator_fd(fd, BTRFS_FS_TREE_OBJECTID, 0,
                                                                              &i);
        struct btrfs_util_subvolume_info info;
        char own[SUBVOLUME_UUID_LENGTH + 1];
        bool found = false;

        if (error != BTRFS_UTIL_OK)
                return to_errno(error);
        while (!found && error == BTRFS_UTIL_OK) {
                error = btrfs_util_subvolume_iterator_next_info(i, NULL, &info);
                if (error == BTRFS_UTIL_OK)
                        subvolume_format_uuid(info.uuid, own);
                found = error == BTRFS_UTIL_OK && streq(own, uuid);
        }
        btrfs_util_destroy_subvolume_iterator(i);
        return found || error == BTRFS_UTIL_ERROR_STOP_ITERATION ? found : to_errno(error);
}

static int destroy_snapshots(int snapshots_fd, const char *uuid)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int dir_fd = open_directory(snapshots_fd, uuid);

        dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
        if (!dir) {
                fd_close(dir_fd);
                return -ENOMEM;
        }
        for (struct dirent *e; (e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        (void) subvolume_destroy(dir_fd, e->d_name);
        return tree_remove(snapshots_fd, uuid);
}

int subvolume_sweep(int store_fd)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, fd = open_directory(store_fd, SNAPSHOTS_DIR);

        if (fd == -ENOENT)
                return 0;
        _cleanup_close_ int lock_fd = stack_lock(store_fd);
        dir = fd < 0 || lock_fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -ENOMEM;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
                if (strlen(e->d_name) != SUBVOLUME_UUID_LENGTH ||
                    strspn(e->d_name, "0123456789abcdef") != SUBVOLUME_UUID_LENGTH ||
                    settle(fd, e->d_name) < 0)
                        continue;
                r = faccessat(fd, e->d_name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? 1
                                                                            : has_uuid(store_fd, e->d_name);
                if (r == 0)
                        r = destroy_snapshots(fd, e->d_name);
        }
        return MIN(r, 0);
}

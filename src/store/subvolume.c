/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/subvolume.h"

#include <btrfsutil.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/macro.h"
#include "basic/names.h"
#include "basic/random.h"
#include "basic/rootfs.h"
#include "basic/tree.h"
#include "store/image.h"
#include "store/quota.h"

/* Files in the directory with the snapshots of an image. NEXT is the subvolume that replaces the image, and
 * after the exchange the old image until it becomes a snapshot. JOURNAL describes the switch meanwhile. */
#define NEXT        ".next"
#define JOURNAL     ".journal"
#define JOURNAL_MAX 512U

/* libbtrfsutil sets errno if a system call failed. */
static int to_errno(enum btrfs_util_error error)
{
        return error == BTRFS_UTIL_OK ? 0 : errno > 0 ? -errno : -EIO;
}

int subvolume_make(int dir_fd, const char *name)
{
        return to_errno(btrfs_util_create_subvolume_fd(dir_fd, name, 0, NULL, NULL));
}

int subvolume_set_read_only(int fd, bool read_only)
{
        return to_errno(btrfs_util_set_subvolume_read_only_fd(fd, read_only));
}

int subvolume_destroy(int dir_fd, const char *name)
{
        _cleanup_close_ int fd = subvolume_open(dir_fd, name);

        if (fd < 0)
                return fd;
        (void) subvolume_set_read_only(fd, false);
        return to_errno(btrfs_util_delete_subvolume_fd(dir_fd, name, BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE));
}

/* --- copies -------------------------------------------------------------------------------------------- */

/* A snapshot of btrfs has an empty directory in place of each inner subvolume. If another process moves
 * directories of the source meanwhile, the path may lead to another subvolume, but always to one below the
 * source. */
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
                return 0; /* moved or removed meanwhile */
        return to_errno(btrfs_util_create_snapshot_fd2(inner_fd, parent_fd, name, 0, NULL, NULL));
}

static int seal_inner(int source_fd, int copy_fd, const char *path)
{
        (void) source_fd;
        _cleanup_close_ int fd = rootfs_open(copy_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

        return fd < 0 ? fd : subvolume_set_read_only(fd, true);
}

/* Calls `call` for each subvolume below `fd`, an outer one before its inner ones. */
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
                r = subvolume_set_read_only(copy_fd, true);
        if (r < 0)
                (void) subvolume_destroy(dir_fd, name);
        return r;
}

/* --- snapshots ----------------------------------------------------------------------------------------- */

/* The name of a subvolume that is incomplete, or is being destroyed. */
static char *hidden_name(void)
{
        return strf(".%016" PRIx64, random_u64());
}

int subvolume_take_snapshot(int store_fd, int image_fd, const char *name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, true);
        _cleanup_free_ char *hidden = hidden_name();
        int r;

        OOM_CHECK(hidden);
        r = dir_fd < 0 ? dir_fd : subvolume_copy(image_fd, dir_fd, hidden, true);
        if (r < 0)
                return r;
        r = RET_NERRNO(renameat2(dir_fd, hidden, dir_fd, name, RENAME_NOREPLACE));
        if (r < 0)
                (void) subvolume_destroy(dir_fd, hidden);
        return r < 0 ? r : to_errno(btrfs_util_sync_fd(dir_fd));
}

int subvolume_open_snapshot(int store_fd, int image_fd, const char *name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, false);

        return dir_fd < 0 ? dir_fd : subvolume_open(dir_fd, name);
}

static int remove_snapshot(int dir_fd, const char *name)
{
        _cleanup_free_ char *hidden = hidden_name();
        int r;

        OOM_CHECK(hidden);
        r = RET_NERRNO(renameat2(dir_fd, name, dir_fd, hidden, RENAME_NOREPLACE));
        return r < 0 ? r : subvolume_destroy(dir_fd, hidden);
}

int subvolume_remove_snapshot(int store_fd, int image_fd, const char *name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, false);

        return dir_fd < 0 ? dir_fd : remove_snapshot(dir_fd, name);
}

/* Renames a snapshot, and destroys the snapshot that has the new name. */
static int take_name(int dir_fd, const char *name, const char *new_name)
{
        int r = remove_snapshot(dir_fd, new_name);

        return r < 0 && r != -ENOENT
                       ? r
                       : RET_NERRNO(renameat2(dir_fd, name, dir_fd, new_name, RENAME_NOREPLACE));
}

int subvolume_rename_snapshot(int store_fd, int image_fd, const char *name, const char *new_name)
{
        _cleanup_close_ int dir_fd = subvolume_open_snapshots(store_fd, image_fd, false);
        int r = dir_fd < 0 ? dir_fd : faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;

        if (r >= 0)
                r = take_name(dir_fd, name, new_name);
        return r < 0 ? r : to_errno(btrfs_util_sync_fd(dir_fd));
}

/* --- another one in its place -------------------------------------------------------------------------- */

/* The content of JOURNAL, "UUID/KEEP/SOURCE". */
typedef struct Journal {
        char uuid[SUBVOLUME_UUID_LENGTH + 1]; /* UUID of the new image */
        /* name for the old image as a snapshot; name that the new image had as a snapshot, or NULL */
        char *keep, *source;
} Journal;

static void journal_clear(Journal *j)
{
        free(j->keep);
        free(j->source);
}

static int write_journal(int dir_fd, int next_fd, const char *keep, const char *source)
{
        _cleanup_free_ char *text = NULL;
        SubvolumeInfo next;
        int r = subvolume_info(next_fd, &next);

        if (r < 0)
                return r;
        text = strf("%s/%s/%s", next.uuid, keep, source ?: "");
        OOM_CHECK(text);
        r = file_write_atomic_at(dir_fd, JOURNAL, 0600, text, strlen(text));
        return r < 0 ? r : to_errno(btrfs_util_sync_fd(dir_fd));
}

static int read_journal(int dir_fd, Journal *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = file_read_at(dir_fd, JOURNAL, JOURNAL_MAX, &text, NULL);

        if (r < 0)
                return r;
        if (strspn(text, "0123456789abcdef") != SUBVOLUME_UUID_LENGTH || text[SUBVOLUME_UUID_LENGTH] != '/')
                return -EBADMSG;
        memcpy(ret->uuid, text, SUBVOLUME_UUID_LENGTH);
        char *keep = text + SUBVOLUME_UUID_LENGTH + 1, *source = strchr(keep, '/');
        if (!source)
                return -EBADMSG;
        *source++ = 0;
        /* A name that begins with "." is hidden: the old image is not kept. */
        if (!image_name_valid(keep + (keep[0] == '.')) || (*source && !image_name_valid(source)))
                return -EBADMSG;
        ret->keep = strdup(keep);
        ret->source = *source ? strdup(source) : NULL;
        return ret->keep && (ret->source || !*source) ? 0 : -ENOMEM;
}

/* Whether a subvolume has this UUID: 1 or 0, or a negative errno if that is unknown. */
static int has_uuid(int dir_fd, const char *name, const char *uuid)
{
        SubvolumeInfo info;
        _cleanup_close_ int fd = subvolume_open(dir_fd, name);
        int r = fd < 0 ? fd : subvolume_info(fd, &info);

        return r == -ENOENT ? 0 : r < 0 ? r : streq(info.uuid, uuid);
}

/* Completes the switch that JOURNAL describes if NEXT and the image were exchanged: the old image becomes a
 * snapshot, and the directory of the snapshots gets the UUID of the new image. Otherwise, undoes the
 * switch. */
static int settle(int snapshots_fd, const char *uuid)
{
        _cleanup_(journal_clear) Journal j = {};
        int r;

        _cleanup_close_ int dir_fd = dir_open_at(snapshots_fd, uuid);
        if (dir_fd < 0)
                return dir_fd;
        r = read_journal(dir_fd, &j);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        int pending = has_uuid(dir_fd, NEXT, uuid),
            exchanged = pending != 0 ? pending : has_uuid(dir_fd, j.keep, uuid);
        if (exchanged < 0)
                return exchanged;
        if (pending)
                r = take_name(dir_fd, NEXT, j.keep);
        else if (!exchanged && j.source) {
                r = RET_NERRNO(renameat2(dir_fd, NEXT, dir_fd, j.source, RENAME_NOREPLACE));
                r = r == -ENOENT ? 0 : r;
        }
        if (r >= 0 && exchanged && !streq(j.uuid, uuid))
                r = RET_NERRNO(renameat2(snapshots_fd, uuid, snapshots_fd, j.uuid, RENAME_NOREPLACE));
        if (r >= 0)
                (void) unlinkat(dir_fd, JOURNAL, 0);
        return r;
}

static bool is_uuid(const char *name)
{
        return strlen(name) == SUBVOLUME_UUID_LENGTH &&
               strspn(name, "0123456789abcdef") == SUBVOLUME_UUID_LENGTH;
}

/* Calls `call` for the snapshots of each image. */
static int each_set(int store_fd, int (*call)(int snapshots_fd, const char *uuid, void *userdata),
                    void *userdata)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, fd = dir_open_at(store_fd, SNAPSHOTS_DIR);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return fd == -ENOENT ? 0 : fd < 0 ? fd : -ENOMEM;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));)
                if (is_uuid(e->d_name))
                        r = call(fd, e->d_name, userdata);
        return MIN(r, 0);
}

static int settle_set(int snapshots_fd, const char *uuid, void *userdata)
{
        (void) userdata;
        (void) settle(snapshots_fd, uuid);
        return 0;
}

int subvolume_settle(int store_fd)
{
        return each_set(store_fd, settle_set, NULL);
}

/* An earlier switch must be settled before another one begins. */
static int clear_next(int dir_fd)
{
        if (faccessat(dir_fd, JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return -EBUSY;
        int r = subvolume_destroy(dir_fd, NEXT);
        return r == -ENOENT ? 0 : r;
}

/* Image and NEXT are on disk before they are exchanged. */
static int exchange(int store_fd, const char *file, int dir_fd, const char *uuid)
{
        int r = to_errno(btrfs_util_sync_fd(dir_fd));

        if (r >= 0)
                r = RET_NERRNO(renameat2(dir_fd, NEXT, store_fd, file, RENAME_EXCHANGE));
        _cleanup_close_ int snapshots_fd = dir_open_at(store_fd, SNAPSHOTS_DIR);
        int q = snapshots_fd < 0 ? snapshots_fd : settle(snapshots_fd, uuid);
        if (r >= 0)
                r = q;
        return r < 0 ? r : to_errno(btrfs_util_sync_fd(dir_fd));
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
        r = clear_next(dir_fd);
        if (r >= 0)
                r = subvolume_info(image_fd, &info);
        if (r >= 0)
                r = subvolume_copy(source_fd, dir_fd, NEXT, false);
        if (r < 0)
                return r;
        _cleanup_close_ int next_fd = subvolume_open(dir_fd, NEXT);
        r = next_fd < 0 ? next_fd : quota_carry(image_fd, next_fd);
        if (r >= 0 && prepare)
                r = prepare(next_fd, userdata);
        if (r >= 0)
                r = write_journal(dir_fd, next_fd, keep, NULL);
        if (r >= 0)
                r = exchange(store_fd, file, dir_fd, info.uuid);
        /* If NEXT has the UUID of the old image, the exchange took place, and the next subvolume_settle()
         * completes it. */
        if (r < 0 && has_uuid(dir_fd, NEXT, info.uuid) == 0)
                (void) subvolume_destroy(dir_fd, NEXT);
        return r;
}

int subvolume_revert(int store_fd, const char *file, const char *snapshot, const char *keep)
{
        SubvolumeInfo info;
        int r;

        _cleanup_close_ int image_fd = subvolume_open(store_fd, file);
        _cleanup_close_ int dir_fd = image_fd < 0 ? image_fd
                                                  : subvolume_open_snapshots(store_fd, image_fd, false);
        _cleanup_close_ int next_fd = dir_fd < 0 ? dir_fd : subvolume_open(dir_fd, snapshot);
        if (next_fd < 0)
                return next_fd;
        r = clear_next(dir_fd);
        if (r >= 0)
                r = subvolume_info(image_fd, &info);
        if (r >= 0)
                r = quota_carry(image_fd, next_fd);
        if (r >= 0)
                r = subvolume_set_read_only(next_fd, false);
        if (r >= 0)
                r = write_journal(dir_fd, next_fd, keep, snapshot);
        if (r >= 0)
                r = RET_NERRNO(renameat2(dir_fd, snapshot, dir_fd, NEXT, RENAME_NOREPLACE));
        return r < 0 ? r : exchange(store_fd, file, dir_fd, info.uuid);
}

/* --- what is nobody's ---------------------------------------------------------------------------------- */

/* Returns the UUIDs of all subvolumes of the file system. */
static int list_uuids(int fd, Strv *ret)
{
        struct btrfs_util_subvolume_iterator *i;
        enum btrfs_util_error error = btrfs_util_create_subvolume_iterator_fd(fd, BTRFS_FS_TREE_OBJECTID, 0,
                                                                              &i);
        struct btrfs_util_subvolume_info info;
        int r = 0;

        if (error != BTRFS_UTIL_OK)
                return to_errno(error);
        while (r >= 0) {
                char uuid[SUBVOLUME_UUID_LENGTH + 1];
                error = btrfs_util_subvolume_iterator_next_info(i, NULL, &info);
                if (error != BTRFS_UTIL_OK)
                        break;
                subvolume_format_uuid(info.uuid, uuid);
                r = strv_append(ret, uuid);
        }
        btrfs_util_destroy_subvolume_iterator(i);
        return r < 0 ? r : error == BTRFS_UTIL_ERROR_STOP_ITERATION ? 0 : to_errno(error);
}

/* Destroys the snapshots with hidden names, or all of them and their directory. */
static int destroy_set(int snapshots_fd, const char *uuid, bool all)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int dir_fd = dir_open_at(snapshots_fd, uuid);

        dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
        if (!dir) {
                fd_close(dir_fd);
                return dir_fd < 0 ? dir_fd : -ENOMEM;
        }
        for (struct dirent *e; (e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && (all || e->d_name[0] == '.'))
                        (void) subvolume_destroy(dir_fd, e->d_name);
        return all ? tree_remove(snapshots_fd, uuid) : 0;
}

/* Snapshots of a switch that could not be settled are kept. */
static int sweep_set(int snapshots_fd, const char *uuid, void *userdata)
{
        const Strv *known = userdata;
        _cleanup_free_ char *journal = strf("%s/" JOURNAL, uuid);

        OOM_CHECK(journal);
        if (faccessat(snapshots_fd, journal, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        return destroy_set(snapshots_fd, uuid, !strv_contains(*known, uuid));
}

int subvolume_sweep(int store_fd)
{
        _cleanup_strv_ Strv known = NULL;
        int r;

        if (faccessat(store_fd, SNAPSHOTS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        _cleanup_close_ int lock_fd = stack_lock(store_fd);
        if (lock_fd < 0)
                return lock_fd;
        r = subvolume_settle(store_fd);
        if (r >= 0)
                r = list_uuids(store_fd, &known);
        return r < 0 ? r : each_set(store_fd, sweep_set, &known);
}

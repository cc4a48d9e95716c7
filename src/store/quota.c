/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/quota.h"

#include <endian.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/str.h"
#include "basic/syscalls.h"
#include "store/image.h"

/* The range of projects that mctl uses. Projects outside of it are the administrator's. */
#define PROJECT_FIRST UINT32_C(0x6d630000)
#define PROJECT_LAST  UINT32_C(0x6d63ffff)
#define DEPTH_MAX     512U

/* --- quota groups -------------------------------------------------------------------------------------- */

static int limit_group(int fd, uint64_t bytes)
{
        struct btrfs_ioctl_qgroup_limit_args args = {
                .lim = { .flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes },
        };
        int r = RET_NERRNO(ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args));

        return r == -ENOTCONN && bytes == UINT64_MAX ? 0 : r; /* without quotas, there is no limit */
}

static uint64_t get_limit_of_group(int fd)
{
        struct btrfs_ioctl_get_subvol_info_args info = {};
        struct btrfs_ioctl_search_args args = {};
        struct btrfs_ioctl_search_header header;
        struct btrfs_qgroup_limit_item item;

        if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info) < 0)
                return UINT64_MAX;
        args.key = (struct btrfs_ioctl_search_key){
                .tree_id = BTRFS_QUOTA_TREE_OBJECTID,
                .min_type = BTRFS_QGROUP_LIMIT_KEY,
                .max_type = BTRFS_QGROUP_LIMIT_KEY,
                .min_offset = info.treeid,
                .max_offset = info.treeid,
                .max_transid = UINT64_MAX,
                .nr_items = 1,
        };
        if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &args) < 0 || args.key.nr_items < 1)
                return UINT64_MAX;
        memcpy(&header, args.buf, sizeof(header));
        if (header.type != BTRFS_QGROUP_LIMIT_KEY || header.offset != info.treeid ||
            header.len < sizeof(item))
                return UINT64_MAX;
        memcpy(&item, args.buf + sizeof(header), sizeof(item));
        return le64toh(item.flags) & BTRFS_QGROUP_LIMIT_MAX_RFER ? le64toh(item.max_rfer) : UINT64_MAX;
}

int quota_switch_on(int fd)
{
        struct btrfs_ioctl_quota_ctl_args args = { .cmd = BTRFS_QUOTA_CTL_ENABLE };

        return RET_NERRNO(ioctl(fd, BTRFS_IOC_QUOTA_CTL, &args));
}

/* --- projects ------------------------------------------------------------------------------------------ */

static int quota_call(int fd, unsigned command, uint32_t project, void *argument)
{
        return RET_NERRNO(sys_quotactl_fd(fd, QCMD(command, PRJQUOTA), project, argument));
}

static bool projects_are_limited(int fd)
{
        struct fs_quota_stat state = { .qs_version = FS_QSTAT_VERSION };

        return quota_call(fd, Q_XGETQSTAT, 0, &state) >= 0 && (state.qs_flags & FS_QUOTA_PDQ_ENFD);
}

/* Returns 0 if the project is not in the range of mctl. */
static uint32_t project_of(int fd)
{
        struct fsxattr attributes;

        if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0 ||
            !(attributes.fsx_xflags & FS_XFLAG_PROJINHERIT) || attributes.fsx_projid < PROJECT_FIRST ||
            attributes.fsx_projid > PROJECT_LAST)
                return 0;
        return attributes.fsx_projid;
}

/* One pass over a tree, from its root. The kernel refuses to move a file into a directory that has
 * FS_XFLAG_PROJINHERIT and another project. Directories therefore get that flag only when all files have the
 * project, so that files can be moved in a tree whose adoption was interrupted. */
typedef enum Pass {
        PASS_COUNT,   /* all files get the project, new files do not inherit it yet */
        PASS_INHERIT, /* directories inherit; special files are made anew */
        PASS_RELEASE, /* undoes a failed adoption: no project, no inheritance */
} Pass;

static int join(int fd, const struct stat *st, uint32_t project, Pass pass)
{
        struct fsxattr attributes;

        if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
                return -errno;
        attributes.fsx_projid = project;
        if (S_ISDIR(st->st_mode) && pass != PASS_COUNT)
                attributes.fsx_xflags = pass == PASS_INHERIT ? attributes.fsx_xflags | FS_XFLAG_PROJINHERIT
                                                             : attributes.fsx_xflags & ~FS_XFLAG_PROJINHERIT;
        return RET_NERRNO(ioctl(fd, FS_IOC_FSSETXATTR, &attributes));
}

/* Finds a project without files. */
static int find_free(int fd, uint32_t *ret)
{
        for (uint32_t id = PROJECT_FIRST; id <= PROJECT_LAST; id++) {
                struct if_dqblk quota = {};
                int r = quota_call(fd, Q_GETQUOTA, id, &quota);
                if (r < 0 && r != -ENOENT)
                        return r;
                if (r < 0 || (quota.dqb_curinodes == 0 && quota.dqb_curspace == 0)) {
                        *ret = id;
                        return 0;
                }
        }
        return -EUSERS;
}

static uint64_t get_limit_of_project(int fd, uint32_t project)
{
        struct if_dqblk quota = {};

        return project > 0 && quota_call(fd, Q_GETQUOTA, project, &quota) >= 0 && quota.dqb_bhardlimit > 0
                       ? MIN(quota.dqb_bhardlimit, UINT64_MAX / QIF_DQBLKSIZE) * QIF_DQBLKSIZE
                       : UINT64_MAX;
}

static int limit_project(int fd, uint32_t project, uint64_t bytes)
{
        struct if_dqblk quota = {
                .dqb_bhardlimit = bytes == UINT64_MAX ? 0
                                                      : bytes / QIF_DQBLKSIZE + (bytes % QIF_DQBLKSIZE > 0),
                .dqb_valid = QIF_BLIMITS,
        };

        return quota_call(fd, Q_SETQUOTA, project, &quota);
}

int quota_set_limit(int fd, uint64_t bytes)
{
        uint32_t project;

        if (image_is_subvolume(fd))
                return limit_group(fd, bytes);
        project = project_of(fd);
        /* quota_adopt() sets the limit last: a project with a limit has all files of the tree. */
        if (get_limit_of_project(fd, project) != UINT64_MAX)
                return limit_project(fd, project, bytes);
        return bytes == UINT64_MAX ? 0 : projects_are_limited(fd) ? -EAGAIN : -EOPNOTSUPP;
}

uint64_t quota_get_limit(int fd)
{
        return image_is_subvolume(fd) ? get_limit_of_group(fd) : get_limit_of_project(fd, project_of(fd));
}

int quota_carry(int from_fd, int fd)
{
        uint64_t bytes = quota_get_limit(from_fd);

        return quota_get_limit(fd) == bytes ? 0 : quota_set_limit(fd, bytes);
}

int quota_inherit(int from_fd, int fd)
{
        uint32_t project = project_of(from_fd);
        struct stat st;

        if (project == 0)
                return 0;
        return fstat(fd, &st) < 0 ? -errno : join(fd, &st, project, PASS_INHERIT);
}

/* --- trees --------------------------------------------------------------------------------------------- */

/* Prepends the name of a directory to copy->failed. */
static int put_in_front(TreeCopy *copy, const char *name, int r)
{
        _cleanup_free_ char *below = strdup(copy->failed);

        snprintf(copy->failed, sizeof(copy->failed), "%s%s%s", name, below && *below ? "/" : "",
                 below ?: "");
        return r;
}

static int walk_children(TreeCopy *copy, int dir_fd, uint32_t project, Pass pass, unsigned depth);

/* Returns 1 if the file has to be made anew. */
static int walk_one(TreeCopy *copy, int dir_fd, const char *name, uint32_t project, Pass pass,
                    unsigned depth)
{
        const struct open_how how = {
                .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV,
        };
        struct stat st;

        if (copy->is_cancelled && copy->is_cancelled())
                return -ECANCELED;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return pass == PASS_INHERIT;
        if (S_ISREG(st.st_mode) && pass == PASS_INHERIT)
                return 0;
        _cleanup_close_ int fd = sys_openat2(dir_fd, name, &how);
        int r = fd < 0 ? -errno : join(fd, &st, project, pass);
        return r < 0 || !S_ISDIR(st.st_mode) ? r : walk_children(copy, fd, project, pass, depth - 1);
}

/* Copies special files over themselves: a new file inherits the project of its directory. Hard links between
 * them are lost. */
static int remake(TreeCopy *copy, int dir_fd, const Strv names)
{
        int r = 0;

        STRV_FOREACH (name, names) {
                _cleanup_close_ int fd = openat(dir_fd, *name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (r >= 0)
                        r = fd < 0 ? -errno : tree_copy(copy, fd, dir_fd, *name);
        }
        return r;
}

static int walk_children(TreeCopy *copy, int dir_fd, uint32_t project, Pass pass, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_strv_ Strv others = NULL;
        struct stat st;
        int r = 0, fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        if (depth == 0)
                return -ELOOP;
        rewinddir(dir);
        for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(dir));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                r = walk_one(copy, dir_fd, e->d_name, project, pass, depth);
                if (r < 0 && pass == PASS_RELEASE)
                        r = 0; /* release as many files as possible */
                if (r < 0)
                        return put_in_front(copy, e->d_name, r);
                if (r > 0)
                        r = strv_append(&others, e->d_name);
        }
        if (r < 0 || errno > 0)
                return r < 0 ? r : -errno;
        if (!others)
                return 0;
        /* Making files anew must not change the times of the directory. */
        if (fstat(dir_fd, &st) < 0)
                return -errno;
        const struct timespec times[] = { st.st_atim, st.st_mtim };
        r = remake(copy, dir_fd, others);
        return r < 0 ? r : RET_NERRNO(futimens(dir_fd, times));
}

static int walk(TreeCopy *copy, int fd, uint32_t project, Pass pass)
{
        struct stat st;
        int r = fstat(fd, &st) < 0 ? -errno : join(fd, &st, project, pass);

        return r < 0 ? r : walk_children(copy, fd, project, pass, DEPTH_MAX);
}

int quota_adopt(TreeCopy *copy, int fd, uint64_t bytes)
{
        TreeCopy release = TREE_COPY_ALL;
        uint32_t project = project_of(fd);
        int r = project > 0 ? 0 : find_free(fd, &project);

        if (r < 0)
                return r;
        /* An earlier tree with this project may have left a limit, which would mean that this tree is
         * adopted already. */
        r = limit_project(fd, project, UINT64_MAX);
        if (r >= 0)
                r = walk(copy, fd, project, PASS_COUNT);
        if (r >= 0)
                r = walk(copy, fd, project, PASS_INHERIT);
        if (r < 0)
                (void) walk(&release, fd, 0, PASS_RELEASE);
        return r < 0 ? r : limit_project(fd, project, bytes);
}

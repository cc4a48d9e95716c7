/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "basic/capability.h"
#include "basic/log.h"
#include "basic/names.h"
#include "basic/rootfs.h"
#include "basic/syscalls.h"
#include "mount/id-map.h"
#include "mount/overlay.h"
#include "mount/tree.h"
#include "sandbox/mounts.h"

#define GID_TTY 5

/* The PID, in the machine, of a helper process of the launcher. The second process of the machine then has
 * PID 2. */
#define HELPER_PID 300

/* Files in the tree are made with the IDs of the container's root. Each file then belongs to this root on
 * any file system, id-mapped or not, and the launcher makes no file that this root could not make. These IDs
 * do not affect mounts. Files of the host are opened with the IDs of the host's root. */
static void act_as(uid_t id)
{
        static uid_t current;

        if (id == current)
                return;
        (void) setfsgid(id);
        (void) setfsuid(id);
        current = id;
}

/* A procfs shows the PID namespace of the process that mounts the procfs. The launcher has entered the PID
 * namespace of the machine for its children only, so a child mounts the procfs. The child shares the
 * descriptors of the launcher, and stores the number of the mount's descriptor in shared memory. */
static int make_proc(unsigned attr)
{
        const pid_t number = HELPER_PID;
        const struct clone_args args = { .flags = CLONE_FILES,
                                         .exit_signal = SIGCHLD,
                                         .set_tid = (uintptr_t) &number,
                                         .set_tid_size = 1 };
        int *result = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), fd;
        pid_t pid;

        if (result == MAP_FAILED)
                return -errno;
        *result = -ECHILD;
        pid = sys_clone3(&args);
        if (pid == 0) {
                *result = mount_make_fs("proc", NULL, attr);
                _exit(EXIT_SUCCESS);
        }
        fd = pid < 0 ? -errno : 0;
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        if (pid > 0)
                fd = *result;
        (void) munmap(result, sizeof(int));
        return fd;
}

/* The tmpfs belongs to the user of the machine that the entry names, or to the root of the machine. */
static int make_tmpfs(const Step *step, uid_t base)
{
        const MountEntry *entry = step->entry;
        _cleanup_free_ char *options = NULL;

        if (!entry || (entry->uid == 0 && entry->gid == 0))
                return mount_make_tmpfs(step->mode, base, step->options, step->attr);
        options = strf("uid=%u,gid=%u%s%s", base + entry->uid, base + entry->gid,
                       isempty(step->options) ? "" : ",", step->options ?: "");
        OOM_CHECK(options);
        return mount_make_tmpfs(step->mode, base, options, step->attr);
}

static int make_devpts(const Step *step, uid_t base)
{
        _cleanup_free_ char *options = strf("newinstance,ptmxmode=0666,mode=0620,gid=%u", base + GID_TTY);

        OOM_CHECK(options);
        return mount_make_fs("devpts", options, step->attr);
}

/* Files that the kernel makes in an upper layer belong to the user who creates the file system. With an
 * id-mapped layer, this user must be mapped. */
static int create_as(FsContext *fs, const void *userdata)
{
        uid_t owner = *(const uid_t *) userdata;
        int r;

        act_as(owner);
        r = owner > 0 ? capability_raise() : 0;
        if (r >= 0)
                r = fs_context_create(fs);
        act_as(0);
        return r;
}

int mounts_make_overlay(const Strv lower, const char *upper, const char *work, uid_t owner)
{
        const Overlay overlay = {
                .lower = lower, .upper = upper, .work = work, .create = create_as, .userdata = &owner
        };

        return overlay_make(&overlay);
}

static const struct {
        const char *name;
        unsigned major, minor;
} device_nodes[] = {
        { "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
        { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
        const char *name, *target;
} device_links[] = {
        { "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
        { "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },         { "core", "/proc/kcore" },
};

/* The nodes are real device nodes. The tmpfs belongs to the host's user namespace, so the nodes work in any
 * user namespace. */
static int make_dev(const Step *step, uid_t base)
{
        _cleanup_close_ int mount_fd = mount_make_tmpfs(step->mode, base, step->options, step->attr);
        if (mount_fd < 0)
                return mount_fd;
        _cleanup_close_ int dir_fd = fd_reopen(mount_fd, O_RDONLY | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd;

        for (size_t i = 0; i < ELEMENTSOF(device_nodes); i++) {
                const char *name = device_nodes[i].name;
                if (mknodat(dir_fd, name, S_IFCHR | 0666,
                            makedev(device_nodes[i].major, device_nodes[i].minor)) < 0)
                        return -errno;
                if (fchmodat(dir_fd, name, 0666, 0) < 0 ||
                    fchownat(dir_fd, name, base, base, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        }
        for (size_t i = 0; i < ELEMENTSOF(device_links); i++) {
                if (symlinkat(device_links[i].target, dir_fd, device_links[i].name) < 0 ||
                    fchownat(dir_fd, device_links[i].name, base, base, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        }
        return TAKE_FD(mount_fd);
}

static int set_read_only(int mount_fd)
{
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

        return RET_NERRNO(mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
}

/* A mount gets the flag itself. A directory that is not a mount is bind-mounted over itself first. */
static int make_read_only(int target_fd)
{
        struct statx stx;
        int r;

        if (statx(target_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) < 0)
                return -errno;
        if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return set_read_only(target_fd);

        _cleanup_close_ int tree_fd = mount_clone(target_fd, "");
        if (tree_fd < 0)
                return tree_fd;
        r = set_read_only(tree_fd);
        return r < 0 ? r : mount_attach(tree_fd, target_fd);
}

static int map_bind(const MountEntry *entry, int tree_fd, const Site *site)
{
        struct stat st;

        if (!entry || entry->id_map == ID_MAP_NONE || site->userns_fd < 0)
                return 0;
        if (entry->id_map == ID_MAP_AUTO)
                return mount_change(tree_fd, 0, 0, site->userns_fd);

        if (fstat(tree_fd, &st) < 0)
                return -errno;
        /* The one owner on disk is mapped to the root of the machine. */
        _cleanup_close_ int userns_fd = id_map_make(entry->id_map == ID_MAP_OWNER ? st.st_uid : 0,
                                                    site->base, 1);
        return userns_fd < 0 ? userns_fd : mount_change(tree_fd, 0, 0, userns_fd);
}

/* A machine chooses names below /var/log/journal. A directory there is used only if it belongs to this
 * machine. */
static int open_owned(const Step *step)
{
        char owner[MACHINE_NAME_MAX + 1] = "";

        _cleanup_close_ int fd = open(step->source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fgetxattr(fd, OWNER_XATTR, owner, sizeof(owner) - 1) < 0 || !streq(owner, step->owner))
                return -ENOENT;
        return TAKE_FD(fd);
}

/* Opens the source of a step. -EBADF for a source that the administrator named, which is reached by its
 * path. */
static int open_source(const Step *step, const Site *site)
{
        if (step->owner)
                return open_owned(step);
        return step->entry && step->entry->in_image ? rootfs_open(site->image_fd, step->source, O_PATH)
                                                    : -EBADF;
}

static int bind_source(const Step *step, const Site *site)
{
        const MountEntry *entry = step->entry;
        _cleanup_close_ int tree_fd = -EBADF, source_fd = open_source(step, site);
        int r;

        if (source_fd < 0 && source_fd != -EBADF)
                return source_fd;
        unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                         (entry && !entry->recursive ? 0 : AT_RECURSIVE) |
                         (source_fd >= 0 ? AT_EMPTY_PATH : 0);
        tree_fd = open_tree(source_fd >= 0 ? source_fd : AT_FDCWD, source_fd >= 0 ? "" : step->source,
                            flags);
        if (tree_fd < 0)
                return -errno;
        r = map_bind(entry, tree_fd, site);
        if (r >= 0)
                r = mount_change(tree_fd, step->attr, entry ? entry->propagation : MS_SLAVE, -EBADF);
        return r < 0 ? r : TAKE_FD(tree_fd);
}

int mounts_enter_stage(const Scope *scope, unsigned propagation)
{
        _cleanup_free_ char *path = scope_run_path(scope, STAGE);
        int r;

        OOM_CHECK(path);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | propagation, NULL) < 0)
                return -errno;
        _cleanup_close_ int stage_fd = dir_open_or_make_at(AT_FDCWD, path, 0700);
        _cleanup_close_ int tmpfs_fd = mount_make_tmpfs(0755, 0, NULL, 0);
        r = stage_fd < 0 ? stage_fd : tmpfs_fd < 0 ? tmpfs_fd : mount_attach(tmpfs_fd, stage_fd);
        return r < 0 ? r : TAKE_FD(tmpfs_fd);
}

int mounts_stage(const Scope *scope, int tree_fd, char **ret_path)
{
        static unsigned count;
        _cleanup_free_ char *path = strf("%s/" STAGE "/%u", scope->run_dir, count++);
        int r;

        OOM_CHECK(path);
        _cleanup_close_ int fd = dir_open_or_make_at(AT_FDCWD, path, 0755);
        r = fd < 0 ? fd : mount_attach(tree_fd, fd);
        if (r >= 0)
                *ret_path = TAKE_PTR(path);
        return r;
}

/* A layer that is id-mapped must be a mount that a path leads to. */
static int stage_layer(const char *layer, const Site *site, char **ret)
{
        int r = 0;

        _cleanup_close_ int tree_fd = mount_clone(AT_FDCWD, layer);
        if (tree_fd < 0)
                return tree_fd;
        if (site->userns_fd >= 0)
                r = mount_change(tree_fd, 0, 0, site->userns_fd);
        return r < 0 ? r : mounts_stage(site->scope, tree_fd, ret);
}

/* The work directory of the kernel is beside the upper layer. Both must be reached through the same mount.
 */
static int make_overlay(const Step *step, const Site *site)
{
        _cleanup_free_ char *parent = NULL, *staged = NULL, *upper = NULL, *work = NULL, *disk = NULL;
        const MountEntry *entry = step->entry;
        _cleanup_strv_ Strv lower = NULL;
        int r;

        STRV_FOREACH (layer, entry->lower) {
                char *path = NULL;
                r = stage_layer(*layer, site, &path);
                if (r >= 0)
                        r = strv_consume(&lower, path);
                if (r < 0)
                        return r;
        }
        if (!entry->source)
                return mounts_make_overlay(lower, NULL, NULL, 0);

        const char *name = strrchr(entry->source, '/') + 1;
        parent = strndup(entry->source, name - entry->source);
        disk = strf("%s.#%s.work", strna(parent), name);
        if (!parent || !disk)
                return -ENOMEM;
        if (mkdir(disk, 0700) < 0 && errno != EEXIST)
                return -errno;
        r = stage_layer(parent, site, &staged);
        if (r < 0)
                return r;
        upper = strf("%s/%s", staged, name);
        work = strf("%s/.#%s.work", staged, name);
        if (!upper || !work)
                return -ENOMEM;
        return mounts_make_overlay(lower, upper, work, site->userns_fd >= 0 ? site->base : 0);
}

/* The covers of hidden files and directories are in /run/host, where the container cannot write. */
static int clone_cover(const Step *step, int root_fd, int target_fd)
{
        const char *source = step->source;
        struct stat st;

        if (!source) {
                if (fstat(target_fd, &st) < 0)
                        return -errno;
                source = S_ISDIR(st.st_mode) ? "/run/host/inaccessible/dir" : "/run/host/inaccessible/reg";
        }
        /* A missing cover must not be mistaken for a missing target. */
        _cleanup_close_ int cover_fd = rootfs_open(root_fd, source, O_PATH);
        if (cover_fd < 0)
                return cover_fd == -ENOENT ? -EUCLEAN : cover_fd;
        _cleanup_close_ int tree_fd = mount_clone(cover_fd, "");
        if (tree_fd < 0)
                return tree_fd;
        /* The mode of a file does not prevent root from writing to the file, so the mount is read-only. */
        int r = mount_change(tree_fd, step->attr | MOUNT_ATTR_RDONLY, 0, -EBADF);
        return r < 0 ? r : TAKE_FD(tree_fd);
}

/* Makes the mount of a step, which is not attached yet. */
static int step_make_tree(const Step *step, const Site *site, int target_fd)
{
        if (step->kind == STEP_DEV || step->kind == STEP_BIND || step->kind == STEP_OVERLAY)
                act_as(0);
        switch (step->kind) {
        case STEP_TMPFS:
                return make_tmpfs(step, site->base);
        case STEP_DEV:
                return make_dev(step, site->base);
        case STEP_DEVPTS:
                return make_devpts(step, site->base);
        case STEP_PROC:
                return make_proc(step->attr);
        case STEP_SYSFS:
                return mount_make_fs("sysfs", NULL, step->attr);
        case STEP_CGROUP:
                return mount_make_fs("cgroup2", NULL, step->attr);
        case STEP_MQUEUE:
                return mount_make_fs("mqueue", NULL, step->attr);
        case STEP_BIND:
                return bind_source(step, site);
        case STEP_OVERLAY:
                return make_overlay(step, site);
        case STEP_COVER:
        case STEP_HIDE:
                return clone_cover(step, site->root_fd, target_fd);
        default:
                assert(!"no such step");
                return -EOPNOTSUPP;
        }
}

/* Returns 1 for a directory, and 0 for another file. An error if the target is missing. */
static int source_is_directory(const Step *step, const Site *site)
{
        struct stat st;

        act_as(0);
        _cleanup_close_ int fd = open_source(step, site);
        if (fd < 0 && fd != -EBADF)
                return fd;
        if ((fd >= 0 ? fstat(fd, &st) : stat(step->source, &st)) < 0)
                return -errno;
        return S_ISDIR(st.st_mode);
}

static int open_target(const Step *step, const Site *site, bool directory)
{
        if (step->strict && rootfs_is_link(site->root_fd, step->target))
                return -ELOOP;
        if (step->kind == STEP_READ_ONLY || step->kind == STEP_HIDE || step->kind == STEP_COVER)
                return rootfs_open(site->root_fd, step->target, O_PATH);
        return directory ? rootfs_make_dir(site->root_fd, step->target, 0755)
                         : rootfs_make_file(site->root_fd, step->target, 0644);
}

/* Opens the target of a step: a directory or, for a bind, a file of the type of the source. A missing target
 * is made. */
static int step_open_target(const Step *step, const Site *site)
{
        int r, directory = step->kind == STEP_BIND ? source_is_directory(step, site) : 1;

        if (directory < 0)
                return directory;
        act_as(site->base);
        r = open_target(step, site, directory);
        /* The container's root may enter each directory of its tree, also a directory that is private to a
         * user of the container. */
        if (r == -EACCES && capability_raise() >= 0)
                r = open_target(step, site, directory);
        return r;
}

/* Only the root of an IPC namespace may set its parameters, so a child of the launcher becomes this root. */
static int set_parameter(const Step *step, const Site *site)
{
        const struct clone_args args = { .exit_signal = SIGCHLD };
        int status;
        pid_t pid;

        act_as(0);
        if (site->userns_fd < 0)
                return rootfs_poke(site->root_fd, step->target, step->source);
        pid = sys_clone3(&args);
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                int r = setns(site->userns_fd, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 ||
                                        setresuid(0, 0, 0) < 0
                                ? -errno
                                : rootfs_poke(site->root_fd, step->target, step->source);
                _exit(-r);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int make_node(const Step *step, const Site *site)
{
        struct stat st;

        act_as(0);
        if (stat(step->source, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
                return -ENODEV;

        /* The launcher has made /dev, so each file in /dev comes from the launcher. */
        _cleanup_free_ char *parent = strndup(step->target, strrchr(step->target, '/') - step->target);
        OOM_CHECK(parent);
        const char *name = strrchr(step->target, '/') + 1;
        act_as(site->base);
        _cleanup_close_ int dir_fd = rootfs_make_dir(site->root_fd, parent, 0755);
        act_as(0);
        if (dir_fd < 0)
                return dir_fd;
        if (mknodat(dir_fd, name, st.st_mode, st.st_rdev) < 0 && errno != EEXIST)
                return -errno;
        if (fchownat(dir_fd, name, site->base, site->base, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

#define COPY_MAX (4U * 1024U * 1024U)

static int copy_file(const Step *step, const Site *site)
{
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        act_as(0);
        _cleanup_close_ int fd = open(step->source, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fd_read_all(fd, COPY_MAX, &data, &size);
        if (r < 0)
                return r;

        act_as(site->base);
        r = step->kind == STEP_REPLACE ? rootfs_remove(site->root_fd, step->target) : 0;
        if (r >= 0)
                r = rootfs_write_file(site->root_fd, step->target, step->mode, data, size);
        /* An optional copy is made only if the target is missing. */
        return r == -EEXIST && step->kind == STEP_COPY && step->optional ? 0 : r;
}

static int copy_link(const Step *step, const Site *site)
{
        char target[PATH_MAX];
        ssize_t n;
        int r;

        act_as(0);
        n = readlink(step->source, target, sizeof(target) - 1);
        if (n < 0)
                return errno == EINVAL ? 0 : -errno;
        target[n] = 0;
        act_as(site->base);
        r = rootfs_remove(site->root_fd, step->target);
        if (r >= 0)
                r = rootfs_make_link(site->root_fd, target, step->target);
        return r;
}

/* Carries out a step that makes a file, with the IDs of the container's root. Returns 1 if the step makes no
 * file. */
static int make_file(const Step *step, const Site *site)
{
        switch (step->kind) {
        case STEP_NODE:
                return make_node(step, site);
        case STEP_COPY:
        case STEP_REPLACE:
                return copy_file(step, site);
        case STEP_LINK:
                return copy_link(step, site);
        case STEP_SYSCTL:
                return set_parameter(step, site);
        case STEP_FILE:
                act_as(site->base);
                return rootfs_write_file(site->root_fd, step->target, step->mode, step->source,
                                         strlen(step->source));
        case STEP_REMOVE:
                act_as(site->base);
                return rootfs_remove(site->root_fd, step->target);
        case STEP_DIR: {
                act_as(site->base);
                _cleanup_close_ int fd = rootfs_make_dir(site->root_fd, step->target, step->mode);
                return MIN(fd, 0);
        }
        default:
                return 1;
        }
}

static int carry_out(const Step *step, const Site *site)
{
        _cleanup_close_ int target_fd = -EBADF, tree_fd = -EBADF;
        int r;

        r = make_file(step, site);
        if (r <= 0)
                return r;
        target_fd = step_open_target(step, site);
        if (target_fd < 0)
                return target_fd;
        if (step->kind == STEP_READ_ONLY)
                return make_read_only(target_fd);
        tree_fd = step_make_tree(step, site, target_fd);
        if (tree_fd < 0)
                return tree_fd;
        return mount_attach(tree_fd, target_fd);
}

/* STEP_WRITABLE comes after the step that hides or locks the surroundings of its target. The tree of the
 * target must be cloned before that step. */
static int take_exception(const Step *steps, size_t n, size_t i, int root_fd)
{
        if (i + 1 >= n || steps[i + 1].kind != STEP_WRITABLE)
                return -EBADF;

        _cleanup_close_ int target_fd = rootfs_open(root_fd, steps[i + 1].target, O_PATH);
        return target_fd < 0 ? target_fd : mount_clone(target_fd, "");
}

static int put_exception(const Step *step, int tree_fd, int root_fd)
{
        _cleanup_close_ int target_fd = rootfs_open(root_fd, step->target, O_PATH);
        return target_fd < 0 ? target_fd : mount_attach(tree_fd, target_fd);
}

static int carry_out_all(const Step *steps, size_t n, const Site *site, const Step **ret_step)
{
        _cleanup_close_ int exception_fd = -EBADF;
        int r;

        for (size_t i = 0; i < n; i++) {
                if (steps[i].kind == STEP_WRITABLE) {
                        r = exception_fd == -ENOENT ? 0
                                                    : put_exception(steps + i, exception_fd, site->root_fd);
                        exception_fd = fd_close(exception_fd);
                } else {
                        exception_fd = take_exception(steps, n, i, site->root_fd);
                        r = carry_out(steps + i, site);
                        if (r == -ENOENT && steps[i].optional)
                                r = 0;
                }
                if (r < 0) {
                        *ret_step = steps + i;
                        return r;
                }
        }
        return 0;
}

int mounts_carry_out(const Step *steps, size_t n, const Site *site, const Step **ret_step)
{
        int r = carry_out_all(steps, n, site, ret_step);

        act_as(0);
        return r;
}

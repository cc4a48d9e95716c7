/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The functions of a child of the manager, which read images and machines. The child may wait for a file
 * system, and exits after its answer. */

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "basic/fd.h"
#include "basic/names.h"
#include "basic/os-release.h"
#include "basic/rootfs.h"
#include "manager/look-start.h"
#include "manager/worker.h"
#include "state/leader.h"
#include "store/image.h"
#include "store/stack.h"
#include "store/subvolume.h"

#define IMAGES_MAX   4096U
#define HOSTNAME_MAX 256U

/* An image, opened with O_PATH. */
typedef struct Image {
        const char *name;
        int store_fd, fd;
        ImageType type;
        char *path;
} Image;

static void image_clear(Image *image)
{
        fd_close(image->fd);
        free(image->path);
}

/* The view of the registry is read-only, that of the host need not be: PID 1 has the flags of the host. A
 * user other than root cannot look there. */
static int open_host(const char *path)
{
        _cleanup_free_ char *seen = strf("/proc/1/root%s", path);

        OOM_CHECK(seen);
        int fd = open(seen, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd >= 0 || errno != EACCES ? RET_NERRNO(fd)
                                          : RET_NERRNO(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static int image_open(const Scope *scope, int store_fd, const char *name, Image *ret)
{
        _cleanup_free_ char *file = NULL, *path = NULL;
        bool host = streq(name, HOST_NAME);
        ImageType type;

        _cleanup_close_ int root_fd = host ? open_host("/") : -EBADF;
        _cleanup_close_ int fd = image_open_in(host ? root_fd : store_fd, host ? "." : name, 0, &type,
                                               &file);
        if (fd < 0)
                return fd;
        path = host ? strdup("/") : scope_store_path(scope, file);
        OOM_CHECK(path);
        *ret = (Image){ name, store_fd, TAKE_FD(fd), type, TAKE_PTR(path) };
        return 0;
}

/* --- one entry ----------------------------------------------------------------------------------------- */

static uint64_t to_usec(const struct statx_timestamp *t)
{
        return t->tv_sec < 0 ? 0 : t->tv_sec * USEC_PER_SEC + t->tv_nsec / NSEC_PER_USEC;
}

static int fill_stat(const Image *image, ImageEntry *entry)
{
        struct statvfs vfs;
        struct statx sx;

        _cleanup_close_ int read_fd = image->type == IMAGE_BLOCK
                                              ? -EBADF
                                              : fd_reopen(image->fd, O_RDONLY | O_NONBLOCK);
        if (statx(image->fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME | STATX_INO | STATX_BLOCKS, &sx) <
                    0 ||
            fstatvfs(image->fd, &vfs) < 0)
                return -errno;
        entry->name = strdup(image->name);
        entry->type = strdup(image_type_to_string(image->type));
        entry->path = strdup(image->path);
        entry->read_only = (vfs.f_flag & ST_RDONLY) || image_is_read_only(read_fd);
        entry->size = image->type == IMAGE_RAW ? sx.stx_blocks * 512 : UINT64_MAX;
        entry->created = sx.stx_mask & STATX_BTIME ? to_usec(&sx.stx_btime) : 0;
        entry->modified = to_usec(&sx.stx_mtime);
        return entry->name && entry->type && entry->path ? 0 : -ENOMEM;
}

/* Reads the file in the topmost layer that has it. */
static int read_os_of_layers(int store_fd, const Layers *layers, char **ret)
{
        size_t n;
        int *fds, r;

        r = layers_open(store_fd, layers, &fds, &n);
        if (r < 0)
                return r;
        r = -ENOENT;
        for (size_t i = 0; i < n && r < 0; i++) {
                _cleanup_close_ int upper_fd = i < strv_length(layers->ids)
                                                       ? rootfs_open(fds[i], "/upper", O_PATH | O_DIRECTORY)
                                                       : -EBADF;
                r = os_release_read(upper_fd < 0 ? fds[i] : upper_fd, ret, NULL);
        }
        layers_close(fds, n);
        return r;
}

/* Lists the snapshots of an image, and the layers of a stack. */
static int read_history(const Image *image, Stack *ret)
{
        if (image->type != IMAGE_STACK && image->type != IMAGE_SUBVOLUME)
                return 0;
        _cleanup_close_ int fd = fd_reopen(image->fd, O_RDONLY | O_DIRECTORY);
        if (fd < 0 || image->type == IMAGE_STACK)
                return fd < 0 ? fd : stack_read(fd, ret);
        return subvolume_list_snapshots(image->store_fd, fd, &ret->snapshots, &ret->n_snapshots);
}

/* An image that cannot be read is left out. */
static int fill_details(const Image *image, ImageEntry *entry)
{
        _cleanup_stack_ Stack stack = {};
        int r = read_history(image, &stack);

        if (image->type != IMAGE_STACK)
                (void) os_release_read(image->fd, &entry->os, NULL);
        else if (r >= 0)
                (void) read_os_of_layers(image->store_fd, &stack.layers, &entry->os);
        entry->versioned = stack.layers.ids || image->type == IMAGE_SUBVOLUME;
        entry->n_snapshots = stack.n_snapshots;
        entry->n_layers = strv_length(stack.layers.ids);
        return stack.layers.base ? free_and_strdup(&entry->base, stack.layers.base) : 0;
}

/* The facts that an image has about itself. Files are read up to a size limit, and texts with control
 * characters are left out. */
static void fill_metadata(const Image *image, ImageEntry *entry)
{
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_free_ char *hostname = NULL;

        if (image->type == IMAGE_RAW || image->type == IMAGE_BLOCK)
                return;
        (void) rootfs_read_file(image->fd, "/etc/hostname", HOSTNAME_MAX, &hostname, NULL);
        if (hostname)
                hostname[strcspn(hostname, "\n")] = 0;
        if (hostname && hostname[0] && str_is_clean(hostname))
                entry->hostname = TAKE_PTR(hostname);
        if (image_inspect(image->fd, &info) >= 0)
                memcpy(entry->machine_id, info.uuid, sizeof(entry->machine_id));
        (void) machine_info_read_all(image->fd, &entry->machine_info);
        (void) os_release_read_all(image->fd, &entry->os_release);
}

static int fill(const Image *image, const ListRequest *request, ImageEntry *entry)
{
        int r = fill_stat(image, entry);

        if (r < 0)
                return r;
        if (request->details)
                r = fill_details(image, entry);
        if (request->metadata)
                fill_metadata(image, entry);
        return r;
}

/* --- lists --------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* If a directory and a disk have the same name, the name is that of the directory. */
static void remove_doubles(Strv names)
{
        size_t kept = 1;

        for (size_t i = 1; names[0] && names[i]; i++)
                if (streq(names[kept - 1], names[i]))
                        free(names[i]);
                else
                        names[kept++] = names[i];
        names[kept] = NULL;
}

static int list_names(const Scope *scope, Strv *ret)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir(scope->store);
        _cleanup_strv_ Strv names = NULL;
        size_t n = 0;
        int r;

        r = strv_append(&names, HOST_NAME);
        if (r < 0)
                return r;
        for (struct dirent *e; dir && n < IMAGES_MAX && (e = readdir(dir));) {
                _cleanup_free_ char *name = NULL;
                if (!image_name_valid(e->d_name) || streq(e->d_name, "lost+found"))
                        continue;
                r = image_name_from_file(e->d_name, &name);
                if (r == -EINVAL)
                        continue;
                if (r >= 0)
                        r = strv_append(&names, name);
                if (r < 0)
                        return r;
                n++;
        }
        qsort(names, strv_length(names), sizeof(char *), compare_names);
        remove_doubles(names);
        *ret = TAKE_PTR(names);
        return 0;
}

/* An image that was removed in the meantime is left out. */
static int add_image(const Scope *scope, int store_fd, const char *name, const ListRequest *request,
                     ListAnswer *answer)
{
        _cleanup_(image_clear) Image image = { .fd = -EBADF };
        int r = image_open(scope, store_fd, name, &image);

        if (r < 0)
                return r;
        r = fill(&image, request, answer->images + answer->n_images);
        if (r >= 0)
                answer->n_images++;
        return r;
}

static int list_all(const Scope *scope, int store_fd, const ListRequest *request, ListAnswer *answer)
{
        _cleanup_strv_ Strv names = NULL;
        int r = list_names(scope, &names);

        if (r < 0)
                return r;
        answer->images = calloc(strv_length(names), sizeof(ImageEntry));
        OOM_CHECK(answer->images);
        STRV_FOREACH (name, names)
                if (add_image(scope, store_fd, *name, request, answer) == -ENOMEM)
                        return -ENOMEM;
        return 0;
}

static int fail_missing(int r, const char *name, char **ret_error)
{
        if (r != -ENOENT)
                return r;
        *ret_error = strf("There is no image '%s'.", name);
        return -ENOMEDIUM;
}

/* A missing store has no images. */
static int look_list(const Scope *scope, const void *request, void *answer, char **ret_error)
{
        const ListRequest *q = request;
        ListAnswer *a = answer;

        _cleanup_close_ int store_fd = open_host(scope->store);
        if (!q->name)
                return list_all(scope, store_fd, q, a);
        a->images = calloc(1, sizeof(ImageEntry));
        OOM_CHECK(a->images);
        return fail_missing(store_fd < 0 && !streq(q->name, HOST_NAME)
                                    ? store_fd
                                    : add_image(scope, store_fd, q->name, q, a),
                            q->name, ret_error);
}

static int look_snapshots(const Scope *scope, const void *request, void *answer, char **ret_error)
{
        const ImageRequest *q = request;
        SnapshotsAnswer *a = answer;
        _cleanup_(image_clear) Image image = { .fd = -EBADF };
        _cleanup_stack_ Stack stack = {};
        int r;

        _cleanup_close_ int store_fd = open_host(scope->store);
        r = fail_missing(store_fd < 0 ? store_fd : image_open(scope, store_fd, q->name, &image), q->name,
                         ret_error);
        if (r < 0)
                return r;
        r = read_history(&image, &stack);
        if (r < 0)
                return r;
        a->snapshots = calloc(stack.n_snapshots + 1, sizeof(SnapshotEntry));
        OOM_CHECK(a->snapshots);
        for (; a->n_snapshots < stack.n_snapshots; a->n_snapshots++) {
                Snapshot *snapshot = stack.snapshots + a->n_snapshots;
                a->snapshots[a->n_snapshots].name = TAKE_PTR(snapshot->name);
                a->snapshots[a->n_snapshots].time = snapshot->time;
        }
        return 0;
}

/* Changes to the user of a process. Since the machine was registered, the process may have changed its user.
 */
static int become_owner(int proc_fd, uid_t uid)
{
        struct stat st;

        if (uid == 0)
                return 0;
        if (fstat(proc_fd, &st) < 0)
                return -errno;
        if (st.st_uid != uid)
                return -EPERM;
        if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
            setresuid(uid, uid, uid) < 0)
                return -errno;
        return 0;
}

static int look_os_release(const Scope *scope, const void *request, void *answer, char **ret_error)
{
        const OsReleaseRequest *q = request;
        const Record record = { .leader = q->target.leader, .start_time = q->target.start_time };
        OsReleaseAnswer *a = answer;

        (void) scope;
        (void) ret_error;
        _cleanup_close_ int proc_fd = leader_open(&record);
        int r = proc_fd < 0 ? proc_fd : become_owner(proc_fd, (uid_t) q->reader);
        if (r < 0)
                return r;
        _cleanup_close_ int root_fd = leader_open_root(proc_fd);
        return root_fd < 0 ? root_fd : os_release_read_all(root_fd, &a->fields);
}

const LookFunction look_functions[_WORK_MAX] = {
        [WORK_OS_RELEASE] = look_os_release,
        [WORK_PREPARE] = look_prepare,
        [WORK_LIST] = look_list,
        [WORK_LIST_SNAPSHOTS] = look_snapshots,
};

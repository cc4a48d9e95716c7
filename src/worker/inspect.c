/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Descriptions in images, such as os-release(5). A disk is mounted in a mount namespace of the worker, a
 * stack as a detached tree. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "basic/os-release.h"
#include "basic/rootfs.h"
#include "disk/raw.h"
#include "store/store.h"
#include "worker/inspect.h"

#define TARGET STAGING "/disk"

static int mount_disk(int store_fd, const char *name, int path_fd, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        int r;

        _cleanup_close_ int disk_fd = fd_reopen(path_fd, O_RDONLY | O_NONBLOCK);
        if (disk_fd < 0)
                return disk_fd;
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mkdir(TARGET, 0700) < 0)
                return -errno;
        _cleanup_close_ int target_fd = open(TARGET, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = target_fd < 0 ? -errno : raw_dissect(disk_fd, store_fd, name, NULL, &disk, &error);
        if (r >= 0)
                r = raw_check_idle(disk_fd, true, &error);
        if (r >= 0)
                r = raw_attach(disk_fd, &disk, true, target_fd, &error);
        return r < 0 && error ? set_failure(ret_error, r, "Image '%s': %s", name, error) : r;
}

int work_inspect(const Job *job, char **ret_error)
{
        const ImageRequest *request = job->request;
        InspectAnswer *answer = job->answer;
        const char *name = request->name;
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_free_ char *hostname = NULL;
        ImageType type;

        _cleanup_close_ int store_fd = open(job->scope->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int path_fd = store_fd < 0 ? -errno : image_open_in(store_fd, name, 0, &type, NULL);
        if (path_fd < 0)
                return path_fd == -ENOENT
                               ? set_failure(ret_error, -ENOMEDIUM, "There is no image '%s'.", name)
                               : path_fd;
        _cleanup_close_ int root_fd = type == IMAGE_RAW ? mount_disk(store_fd, name, path_fd, ret_error)
                                                        : store_open_tree(store_fd, name);
        if (root_fd < 0)
                return root_fd;
        (void) rootfs_read_file(root_fd, "/etc/hostname", 256, &hostname, NULL);
        if (hostname)
                hostname[strcspn(hostname, "\n")] = 0;
        (void) image_inspect(root_fd, &info);
        (void) machine_info_read_all(root_fd, &answer->machine_info);
        (void) os_release_read_all(root_fd, &answer->os_release);
        memcpy(answer->machine_id, info.uuid, sizeof(answer->machine_id));
        if (hostname && str_is_clean(hostname))
                answer->hostname = TAKE_PTR(hostname);
        return 0;
}

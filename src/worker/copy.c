/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Copies between the host and a machine. The machine's side is reached through its root only, whatever it makes of its
 * links meanwhile. */

#include <sys/stat.h>

#include "basic/rootfs.h"
#include "basic/tree.h"
#include "sandbox/leader.h"
#include "worker/worker.h"

/* Where there is no destination, it is the source's path; one that ends with a slash, or is known to be one, is a
 * directory, which gets the copy under the name of the source. */
static int split_destination(const Request *request, bool into, char **ret_parent, char **ret_name,
                             char **ret_error)
{
        _cleanup_free_ char *unused = NULL;
        const char *d = request->destination;
        int r;

        if (!d || (!into && d[strlen(d) - 1] != '/')) {
                r = path_split(d ?: request->source, ret_parent, ret_name);
                return r == -EINVAL ? set_failure(ret_error, r, "'%s' is no name for a copy.",
                                                  d ?: request->source)
                                    : r;
        }
        r = path_split(request->source, &unused, ret_name);
        if (r < 0)
                return r == -EINVAL
                               ? set_failure(ret_error, r, "'%s' has no name for its copy.", request->source)
                               : r;
        *ret_parent = strdup(d);
        OOM_CHECK(*ret_parent);
        return 0;
}

static int finish(const TreeCopy *copy, int r, char **ret_error)
{
        if (r == -EEXIST)
                return set_failure(ret_error, r, "'%s' is there already; --force replaces files.",
                                   copy->failed);
        return r < 0 ? set_failure(ret_error, r, "'%s': %s", copy->failed, strerror(-r)) : 0;
}

int copy_tree(const Request *request, bool inward, int source_fd, int parent_fd, const char *name,
              char **ret_error)
{
        const TreeUsers host = { 0, UINT32_MAX };
        TreeUsers machine;
        int r = leader_users(request->proc_fd, &machine.base, &machine.size);

        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The machine does not map its users as one range.");
        if (r < 0)
                return r;
        TreeCopy c = {
                .from = inward ? host : machine,
                .to = inward ? machine : host,
                .replace = request_flag(request, "replace"),
                .distrust = !inward,
        };
        return finish(&c, tree_copy(&c, source_fd, parent_fd, name), ret_error);
}

int open_source(const Request *request, char **ret_error)
{
        int fd = rootfs_open(request->root_fd, request->source, O_PATH | O_NOFOLLOW);

        return fd < 0 ? set_failure(ret_error, fd, "Cannot open '%s' in the machine: %s", request->source,
                                    strerror(-fd))
                      : fd;
}

static bool is_directory(int fd)
{
        struct stat st;

        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISDIR(st.st_mode);
}

int work_copy_to(const Request *request, char **ret_error)
{
        _cleanup_free_ char *parent = NULL, *name = NULL;
        _cleanup_close_ int there_fd = request_flag(request, "into") && request->destination
                                               ? rootfs_open(request->root_fd, request->destination, O_PATH)
                                               : -EBADF;
        int r = split_destination(request, is_directory(there_fd), &parent, &name, ret_error);

        if (r < 0)
                return r;
        _cleanup_close_ int source_fd = open(request->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (source_fd < 0)
                return set_failure(ret_error, -errno, "Cannot open '%s': %s", request->source,
                                   strerror(errno));
        _cleanup_close_ int parent_fd = rootfs_open(request->root_fd, parent, O_PATH | O_DIRECTORY);
        if (parent_fd < 0)
                return set_failure(ret_error, parent_fd, "Cannot open '%s' in the machine: %s", parent,
                                   strerror(-parent_fd));
        return copy_tree(request, true, source_fd, parent_fd, name, ret_error);
}

int work_copy_from(const Request *request, char **ret_error)
{
        _cleanup_free_ char *parent = NULL, *name = NULL;
        _cleanup_close_ int there_fd = request_flag(request, "into") && request->destination
                                               ? open(request->destination, O_PATH | O_CLOEXEC)
                                               : -EBADF;
        int r = split_destination(request, is_directory(there_fd), &parent, &name, ret_error);

        if (r < 0)
                return r;
        _cleanup_close_ int source_fd = open_source(request, ret_error);
        if (source_fd < 0)
                return source_fd;
        _cleanup_close_ int parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0)
                return set_failure(ret_error, -errno, "Cannot open '%s': %s", parent, strerror(errno));
        return copy_tree(request, false, source_fd, parent_fd, name, ret_error);
}

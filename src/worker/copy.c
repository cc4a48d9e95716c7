/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Copies between the host and a machine. Paths in the machine are resolved below its root directory, even if
 * the machine changes symbolic links during the copy. */

#include <sys/stat.h>

#include "basic/rootfs.h"
#include "basic/tree.h"
#include "state/leader.h"
#include "worker/copy.h"

/* Without `destination`, the copy gets the path of the source. If `destination` ends with a slash, or `into`
 * says that it is a directory, the copy gets the name of the source in that directory. */
static int split_destination(const CopyRequest *request, bool into, char **ret_parent, char **ret_name,
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
                return set_failure(ret_error, r, "'%s' exists already; --force replaces files.",
                                   copy->failed);
        return r < 0 ? set_failure(ret_error, r, "'%s': %s", copy->failed, strerror(-r)) : 0;
}

int copy_tree(const Job *job, bool inward, int source_fd, int parent_fd, const char *name, char **ret_error)
{
        const CopyRequest *request = job->request;
        const TreeUsers host = { 0, UINT32_MAX };
        TreeUsers machine;
        int r = leader_users(job->proc_fd, &machine.base, &machine.size);

        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The machine does not map its users as one range.");
        if (r < 0)
                return r;
        TreeCopy c = {
                .from = inward ? host : machine,
                .to = inward ? machine : host,
                .replace = request->replace,
                .distrust = !inward,
        };
        return finish(&c, tree_copy(&c, source_fd, parent_fd, name), ret_error);
}

int open_source(const Job *job, char **ret_error)
{
        const CopyRequest *request = job->request;
        int fd = rootfs_open(job->root_fd, request->source, O_PATH | O_NOFOLLOW);

        return fd < 0 ? set_failure(ret_error, fd, "Cannot open '%s' in the machine: %s", request->source,
                                    strerror(-fd))
                      : fd;
}

static bool is_directory(int fd)
{
        struct stat st;

        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISDIR(st.st_mode);
}

int work_copy_to(const Job *job, char **ret_error)
{
        const CopyRequest *request = job->request;
        _cleanup_free_ char *parent = NULL, *name = NULL;
        _cleanup_close_ int there_fd = request->into && request->destination
                                               ? rootfs_open(job->root_fd, request->destination, O_PATH)
                                               : -EBADF;
        int r = split_destination(request, is_directory(there_fd), &parent, &name, ret_error);

        if (r < 0)
                return r;
        _cleanup_close_ int source_fd = open(request->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (source_fd < 0)
                return set_failure(ret_error, -errno, "Cannot open '%s': %s", request->source,
                                   strerror(errno));
        _cleanup_close_ int parent_fd = rootfs_open(job->root_fd, parent, O_PATH | O_DIRECTORY);
        if (parent_fd < 0)
                return set_failure(ret_error, parent_fd, "Cannot open '%s' in the machine: %s", parent,
                                   strerror(-parent_fd));
        return copy_tree(job, true, source_fd, parent_fd, name, ret_error);
}

int work_copy_from(const Job *job, char **ret_error)
{
        const CopyRequest *request = job->request;
        _cleanup_free_ char *parent = NULL, *name = NULL;
        _cleanup_close_ int there_fd = request->into && request->destination
                                               ? open(request->destination, O_PATH | O_CLOEXEC)
                                               : -EBADF;
        int r = split_destination(request, is_directory(there_fd), &parent, &name, ret_error);

        if (r < 0)
                return r;
        _cleanup_close_ int source_fd = open_source(job, ret_error);
        if (source_fd < 0)
                return source_fd;
        _cleanup_close_ int parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0)
                return set_failure(ret_error, -errno, "Cannot open '%s': %s", parent, strerror(errno));
        return copy_tree(job, false, source_fd, parent_fd, name, ret_error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>
#include <sys/xattr.h>

#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/names.h"
#include "launch/journal.h"

#define JOURNAL_DIR "/var/log/journal"

/* The link is only text. Its target belongs to the machine, and only programs that read journals follow the
 * link. */
static int make_link(int dir_fd, const char *root, const char *uuid)
{
        _cleanup_free_ char *target = strf("%s" JOURNAL_DIR "/%s", root, uuid);
        int r;

        OOM_CHECK(target);
        journal_unlink(root, uuid);
        r = RET_NERRNO(symlinkat(target, dir_fd, uuid));
        /* The directory has the journal of a machine of this ID already, in mode "host" or from another
         * source. */
        return r == -EEXIST ? 0 : r;
}

/* The image chooses the ID, so the directory of the ID may have the journal of another machine. */
static bool is_host_id(const char *uuid)
{
        _cleanup_free_ char *id = NULL;

        return file_read_at(AT_FDCWD, "/etc/machine-id", 64, &id, NULL) < 0 || strncmp(id, uuid, 32) == 0;
}

/* The directory of a journal has the name of its machine in an extended attribute. */
static int make_dir(int dir_fd, const char *name, const char *uuid)
{
        char present[MACHINE_NAME_MAX + 1] = "";
        bool made = mkdirat(dir_fd, uuid, 0755) >= 0;

        if (!made && errno != EEXIST)
                return -errno;
        _cleanup_close_ int fd = dir_open_at(dir_fd, uuid);
        if (fd < 0)
                return fd;
        if (made)
                return RET_NERRNO(fsetxattr(fd, OWNER_XATTR, name, strlen(name), 0));
        if (fgetxattr(fd, OWNER_XATTR, present, sizeof(present) - 1) < 0)
                return errno == ENODATA ? -EEXIST : -errno;
        return streq(present, name) ? 0 : -EEXIST;
}

static bool is_directory(const char *path)
{
        struct stat st;

        return stat(path, &st) >= 0 && S_ISDIR(st.st_mode);
}

int journal_link(const Spec *spec, const char *root, const char *uuid, char **ret_error)
{
        LinkJournal mode = spec->link_journal;
        bool attempt = mode == LINK_JOURNAL_AUTO || mode == LINK_JOURNAL_TRY_HOST ||
                       mode == LINK_JOURNAL_TRY_GUEST;
        bool host = mode == LINK_JOURNAL_HOST || mode == LINK_JOURNAL_TRY_HOST;
        int r;

        if (mode == LINK_JOURNAL_NO || !spec->boot)
                return 0;
        /* A journal that is removed with the machine gets no link. */
        if (attempt && !host && (is_host_id(uuid) || spec->volatile_mode != VOLATILE_NO))
                return 0;
        /* The journal in a disk image has no path on the host. */
        if (attempt && !host && !is_directory(root))
                return 0;
        if (!host && !is_directory(root))
                return set_failure(
                        ret_error, -EOPNOTSUPP,
                        "The journal of a disk cannot be linked to: set LinkJournal=host or =no.");
        if (is_host_id(uuid))
                return set_failure(
                        ret_error, -EEXIST,
                        "The image has the machine ID of this host; give it one of its own, or set "
                        "LinkJournal=no.");
        _cleanup_close_ int dir_fd = open(JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                r = -errno;
        else if (host)
                r = make_dir(dir_fd, spec->name, uuid);
        else
                r = make_link(dir_fd, root, uuid);
        return r < 0 && !attempt ? set_failure_errno(ret_error, r,
                                                     "Failed to link the journal of the machine into '%s'",
                                                     JOURNAL_DIR)
                                 : 0;
}

void journal_unlink(const char *root, const char *uuid)
{
        _cleanup_free_ char *path = strf(JOURNAL_DIR "/%s", uuid);
        char target[PATH_MAX];
        ssize_t n;

        if (!path || !uuid[0])
                return;
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return;
        target[n] = 0;
        const char *below = startswith(target, root);
        if (below && startswith(below, JOURNAL_DIR "/"))
                (void) unlink(path);
}

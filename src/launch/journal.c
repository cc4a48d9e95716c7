/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "launch/journal.h"

#define JOURNAL_DIR "/var/log/journal"

/* The link is text: what it leads to is the machine's, and only programs that read journals follow it. */
static int make_link(int dir_fd, const char *root, const char *uuid)
{
        _cleanup_free_ char *target = strf("%s" JOURNAL_DIR "/%s", root, uuid);
        int r;

        OOM_CHECK(target);
        journal_unlink(root, uuid);
        r = RET_NERRNO(symlinkat(target, dir_fd, uuid));
        /* A directory of that name has the journal of such a machine already, in mode "host" or from elsewhere. */
        return r == -EEXIST ? 0 : r;
}

int journal_link(const Spec *spec, const char *root, const char *uuid)
{
        LinkJournal mode = spec->link_journal;
        bool attempt = mode == LINK_JOURNAL_AUTO || mode == LINK_JOURNAL_TRY_HOST ||
                       mode == LINK_JOURNAL_TRY_GUEST;
        bool host = mode == LINK_JOURNAL_HOST || mode == LINK_JOURNAL_TRY_HOST;
        int r;

        if (mode == LINK_JOURNAL_NO || !spec->boot)
                return 0;
        _cleanup_close_ int dir_fd = open(JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                r = -errno;
        else if (host)
                r = mkdirat(dir_fd, uuid, 0755) < 0 && errno != EEXIST ? -errno : 0;
        else
                r = make_link(dir_fd, root, uuid);
        return r < 0 && !attempt ? log_error_errno(r, "Failed to link the journal of the machine into '%s'",
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

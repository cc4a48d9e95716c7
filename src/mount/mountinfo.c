/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/mountinfo.h"

#include "basic/fd.h"
#include "basic/str.h"

/* Enough for all mounts of a busy host. */
#define MOUNTINFO_MAX (64U * 1024U * 1024U)

/* The kernel writes blanks and other special characters as a backslash and three octal digits. */
static void unescape(char *s)
{
        char *to = s;

        for (; *s; s++)
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
                    s[3] >= '0' && s[3] <= '7') {
                        *to++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
                        s += 3;
                } else
                        *to++ = *s;
        *to = 0;
}

/* Each field is followed by one blank, and may be empty: the source of a tmpfs can be "". A varying number
 * of fields follows the mount point, up to a dash. */
static bool parse(char *line, KernelMount *ret)
{
        char *fields[5], *field, *source;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                fields[i] = strsep(&line, " ");
        if (!fields[4] || sscanf(fields[2], "%u:%u", &ret->major, &ret->minor) != 2)
                return false;
        while ((field = strsep(&line, " ")) && !streq(field, "-"))
                ;
        ret->fs = strsep(&line, " ");
        source = strsep(&line, " ");
        ret->options = strsep(&line, " ");
        if (!source || !ret->options)
                return false;
        unescape(fields[3]);
        unescape(fields[4]);
        ret->root = fields[3];
        ret->point = fields[4];
        return true;
}

int mountinfo_each(int (*call)(void *userdata, const KernelMount *entry), void *userdata)
{
        _cleanup_free_ char *text = NULL;
        int r;

        _cleanup_close_ int fd = open("/proc/1/mountinfo", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fd_read_all(fd, MOUNTINFO_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (char *state, *line = strtok_r(text, "\n", &state); line && r == 0;
             line = strtok_r(NULL, "\n", &state)) {
                KernelMount entry = {};
                if (parse(line, &entry))
                        r = call(userdata, &entry);
        }
        return r;
}

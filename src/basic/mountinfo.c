/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/mountinfo.h"

#include "basic/fd.h"
#include "basic/str.h"

/* All mounts of a busy host. */
#define MOUNTINFO_MAX (64U * 1024U * 1024U)

/* Blanks and their like are written as three octal digits. */
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

/* Fields behind the mount point have a varying number, up to a dash. */
static bool parse(char *line, KernelMount *ret)
{
        char *state, *fields[5], *field, *root, *point;
        size_t n = 0;

        for (; n < ELEMENTSOF(fields) && (field = strtok_r(n == 0 ? line : NULL, " ", &state)); n++)
                fields[n] = field;
        if (n < ELEMENTSOF(fields) || sscanf(fields[2], "%u:%u", &ret->major, &ret->minor) != 2)
                return false;
        root = fields[3];
        point = fields[4];
        while ((field = strtok_r(NULL, " ", &state)) && !streq(field, "-"))
                ;
        ret->fs = field ? strtok_r(NULL, " ", &state) : NULL;
        field = ret->fs ? strtok_r(NULL, " ", &state) : NULL; /* the source */
        ret->options = field ? strtok_r(NULL, " ", &state) : NULL;
        if (!ret->options)
                return false;
        unescape(root);
        unescape(point);
        ret->root = root;
        ret->point = point;
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/fs-context.h"

#include <errno.h>
#include <sys/mount.h>
#include <unistd.h>

#include "basic/fd.h"

#define LINE_MAX_SIZE 512U
#define LINES_MAX     8U

FsContext fs_context_open(const char *type)
{
        FsContext context = { .fd = fsopen(type, FSOPEN_CLOEXEC) };

        context.r = context.fd < 0 ? -errno : 0;
        return context;
}

void fs_context_clear(FsContext *context)
{
        context->fd = fd_close(context->fd);
}

void fs_context_set(FsContext *context, const char *key, const char *value)
{
        if (context->r >= 0)
                context->r = RET_NERRNO(fsconfig(
                        context->fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0));
}

void fs_context_set_all(FsContext *context, const char *options)
{
        _cleanup_free_ char *copy = strdup(options);

        if (!copy && context->r >= 0)
                context->r = -ENOMEM;
        for (char *state, *key = copy ? strtok_r(copy, ",", &state) : NULL; key;
             key = strtok_r(NULL, ",", &state)) {
                char *value = strchr(key, '=');
                if (value)
                        *value++ = 0;
                fs_context_set(context, key, value);
        }
}

int fs_context_create(FsContext *context)
{
        if (context->r >= 0)
                context->r = RET_NERRNO(fsconfig(context->fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
        return context->r;
}

int fs_context_mount(FsContext *context, unsigned attr)
{
        if (context->r >= 0)
                context->r = RET_NERRNO(fsmount(context->fd, FSMOUNT_CLOEXEC, attr));
        return context->r;
}

/* The kernel returns one message for each read(2): "e " and the text of an error, "w " of a warning, "i " of
 * information. */
char *fs_context_error(const FsContext *context)
{
        char line[LINE_MAX_SIZE];

        for (unsigned i = 0; i < LINES_MAX && context->fd >= 0; i++) {
                ssize_t n = read(context->fd, line, sizeof(line) - 1);
                if (n < 0)
                        break; /* no more messages */
                line[n] = 0;
                line[strcspn(line, "\n")] = 0;
                if (startswith(line, "e "))
                        return str_escape(line + 2);
        }
        return strdup(strerror(-context->r));
}

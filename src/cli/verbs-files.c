/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files between the host and machines: copies, and mounts that are made while they run. */

#include <unistd.h>

#include "cli/cli.h"

/* A path of the host that a person typed, as one that the registry understands. Where it is another host, it has no
 * directory that we are in. The caller frees it. */
static int absolute_path(const Context *c, const char *path, char **ret)
{
        _cleanup_free_ char *directory = NULL;

        if (path[0] != '/' && c->host)
                return log_error_return(-EINVAL, "On another host, '%s' must be an absolute path.", path);
        if (path[0] != '/') {
                directory = get_current_dir_name();
                if (!directory)
                        return log_error_errno(-errno, "Failed to find the working directory");
        }
        *ret = directory ? strf("%s/%s", directory, path) : strdup(path);
        return *ret ? 0 : log_oom();
}

static int check_inside(const char *path)
{
        return path[0] == '/'
                       ? 0
                       : log_error_return(-EINVAL, "A path in a machine is absolute, not '%s'.", path);
}

static int copy(Context *c, const char *method, const char *what, const char *name, const char *source,
                const char *destination)
{
        if (!machine_name_valid(name))
                return usage_bad_name(name);
        return bus_call_registry(c, what, method, NULL, "ssst", name, source, destination,
                                 c->force ? UINT64_C(1) : UINT64_C(0));
}

int verb_copy_to(Context *c, char **args)
{
        _cleanup_free_ char *source = NULL;
        int r = absolute_path(c, args[1], &source);

        if (r < 0 || (args[2] && check_inside(args[2]) < 0))
                return EXIT_STATUS_USAGE;
        return copy(c, "CopyToMachine", "Not copied", args[0], source, args[2] ?: "");
}

int verb_copy_from(Context *c, char **args)
{
        _cleanup_free_ char *destination = NULL;

        if (check_inside(args[1]) < 0 || (args[2] && absolute_path(c, args[2], &destination) < 0))
                return EXIT_STATUS_USAGE;
        return copy(c, "CopyFromMachine", "Not copied", args[0], args[1], destination ?: "");
}

int verb_bind(Context *c, char **args)
{
        _cleanup_free_ char *source = NULL;

        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (absolute_path(c, args[1], &source) < 0 || (args[2] && check_inside(args[2]) < 0))
                return EXIT_STATUS_USAGE;
        return bus_call_registry(c, "Not bound", "BindMachine", NULL, "sssbb", args[0], source,
                                 args[2] ?: source, c->spec->read_only, c->make_target);
}

int verb_unbind(Context *c, char **args)
{
        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (check_inside(args[1]) < 0)
                return EXIT_STATUS_USAGE;
        return bus_call_registry(c, "Not unmounted", "UnbindMachine", NULL, "ss", args[0], args[1]);
}

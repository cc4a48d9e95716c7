/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about files of the host and of machines: copies, bind mounts, and mounts of images. */

#include "cli/verbs-files.h"

#include <unistd.h>

#include "cli/bus.h"
#include "cli/remote.h"
#include "cli/usage.h"

/* Makes an absolute path of a path of the host, since the registry has no working directory of the caller.
 * On another host (-H), the path must be absolute already. The caller frees it. Errors are logged. */
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
                       : log_error_return(-EINVAL, "A path in a machine must be absolute, not '%s'.", path);
}

/* Flags of CopyToMachine(), CopyFromMachine() and ExtractToMachine(). */
enum {
        FLAG_REPLACE = 1,
        FLAG_INTO = 2,
};

static int copy(Context *c, const char *method, const char *name, const char *source,
                const char *destination, uint64_t flags)
{
        if (!machine_name_valid(name))
                return usage_bad_name(name);
        return bus_call_registry(c, "Not copied", method, NULL, "ssst", name, source, destination, flags);
}

int verb_copy_to(Context *c, char **args)
{
        _cleanup_free_ char *source = NULL;
        int r = absolute_path(c, args[1], &source);

        if (r < 0 || (args[2] && check_inside(args[2]) < 0))
                return EXIT_STATUS_USAGE;
        return copy(c, "CopyToMachine", args[0], source, args[2] ?: "", c->force ? FLAG_REPLACE : 0);
}

int verb_copy_from(Context *c, char **args)
{
        _cleanup_free_ char *destination = NULL;

        if (check_inside(args[1]) < 0 || (args[2] && absolute_path(c, args[2], &destination) < 0))
                return EXIT_STATUS_USAGE;
        return copy(c, "CopyFromMachine", args[0], args[1], destination ?: "", c->force ? FLAG_REPLACE : 0);
}

/* Splits "NAME:PATH", as in Docker. A word that begins with a slash or a dot is a path of the host. Returns
 * 1 for a path in a machine, 0 for a path of the host. */
static int split_place(const char *place, char **ret_name, const char **ret_path)
{
        const char *colon = strchr(place, ':');

        *ret_name = NULL;
        *ret_path = place;
        if (!colon || strchr("/.", place[0]))
                return 0;
        *ret_name = strndup(place, colon - place);
        *ret_path = colon + 1;
        return *ret_name ? 1 : log_oom();
}

/* Copies a tree of a machine as a tar archive to standard output, or from standard input. */
static int copy_archive(Context *c, const char *from, const char *to, const char *path)
{
        const char *name = from ?: to;

        if (!machine_name_valid(name))
                return usage_bad_name(name);
        if (check_inside(path) < 0)
                return EXIT_STATUS_USAGE;
        if (isatty(from ? STDOUT_FILENO : STDIN_FILENO))
                return log_error_return(-EINVAL, "An archive cannot be read from or written to a terminal.");
        return from ? bus_call_registry(c, "Not copied", "ArchiveFromMachine", NULL, "ssh", from, path,
                                        STDOUT_FILENO)
                    : bus_call_registry(c, "Not copied", "ExtractToMachine", NULL, "ssht", to, path,
                                        STDIN_FILENO, (uint64_t) FLAG_REPLACE);
}

int verb_cp(Context *c, char **args)
{
        _cleanup_free_ char *from = NULL, *to = NULL, *path = NULL;
        const char *source, *destination;

        if (split_place(args[0], &from, &source) < 0 || split_place(args[1], &to, &destination) < 0)
                return -ENOMEM;
        if (!from == !to)
                return log_error("One of the two arguments must be a path in a machine: mctl cp NAME:PATH "
                                 "PATH, or mctl cp PATH NAME:PATH."),
                       EXIT_STATUS_USAGE;
        if (streq(from ? destination : source, "-") && c->host)
                return remote_run(c, (char *[]){ (char *) "cp", args[0], args[1], NULL }, false);
        if (streq(from ? destination : source, "-"))
                return copy_archive(c, from, to, from ? source : destination);
        if (check_inside(from ? source : destination) < 0 ||
            absolute_path(c, from ? destination : source, &path) < 0)
                return EXIT_STATUS_USAGE;
        return from ? copy(c, "CopyFromMachine", from, source, path, FLAG_REPLACE | FLAG_INTO)
                    : copy(c, "CopyToMachine", to, path, destination, FLAG_REPLACE | FLAG_INTO);
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

/* BindMachine() takes the path of an image like any path of the host. */
int verb_mount_image(Context *c, char **args)
{
        _cleanup_free_ char *source = scope_store_path(c->scope, args[1]);

        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (!image_name_valid(args[1]))
                return log_error("'%s' is not a valid name of an image.", args[1]), EXIT_STATUS_USAGE;
        if (check_inside(args[2]) < 0)
                return EXIT_STATUS_USAGE;
        if (!source)
                return log_oom();
        return bus_call_registry(c, "Not mounted", "BindMachine", NULL, "sssbb", args[0], source, args[2],
                                 c->spec->read_only, c->make_target);
}

int verb_mount(Context *c, char **args)
{
        _cleanup_free_ char *path = NULL;

        if (absolute_path(c, args[1], &path) < 0)
                return EXIT_STATUS_USAGE;
        return bus_call_registry(c, "Not mounted", "MountImage", NULL, "ssb", args[0], path,
                                 c->spec->read_only);
}

/* args[0] is the name of an image, or a path with a slash where an image is mounted. */
int verb_umount(Context *c, char **args)
{
        _cleanup_free_ char *path = NULL;

        if (strchr(args[0], '/')) {
                path = c->host ? strdup(args[0]) : realpath(args[0], NULL);
                if (!path)
                        return log_error_errno(-errno, "Cannot open '%s'", args[0]);
        }
        return bus_call_registry(c, "Not unmounted", "UnmountImage", NULL, "s", path ?: args[0]);
}

int verb_unbind(Context *c, char **args)
{
        if (!machine_name_valid(args[0]))
                return usage_bad_name(args[0]);
        if (check_inside(args[1]) < 0)
                return EXIT_STATUS_USAGE;
        return bus_call_registry(c, "Not unmounted", "UnbindMachine", NULL, "ss", args[0], args[1]);
}

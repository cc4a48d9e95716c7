/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-generator: machines.target, where systemd's own tools for containers did not bring it. A generator can give
 * way to a file that is there, which a package cannot. See systemd.generator(7). */

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/str.h"

static const char target_text[] = "# Made by mctl-generator\n"
                                  "[Unit]\n"
                                  "Description=Machines\n"
                                  "Before=multi-user.target\n";

/* Of the directories for units, the "late" one counts least: a machines.target from elsewhere is preferred. */
static int generate(const char *late_dir)
{
        int r;

        _cleanup_close_ int dir_fd = open(late_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        r = file_write_atomic_at(dir_fd, "machines.target", 0644, target_text, strlen(target_text));
        if (r < 0)
                return r;
        _cleanup_close_ int wants_fd = dir_open_or_make_at(dir_fd, "multi-user.target.wants", 0755);
        if (wants_fd < 0)
                return wants_fd;
        if (symlinkat("../machines.target", wants_fd, "machines.target") < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

int main(int argc, char *argv[])
{
        int r;

        if (argc != 4) {
                log_error("mctl-generator is run by systemd, with three directories.");
                return EXIT_FAILURE;
        }
        r = generate(argv[3]);
        if (r < 0) {
                log_error_errno(r, "Failed to write units to '%s'", argv[3]);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

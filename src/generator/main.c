/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-generator: what the files of machines say to systemd becomes drop-ins of their units. It also makes
 * machines.target where systemd's own tools for containers did not bring it: a generator can give way to a file that
 * is there, which a package cannot. See systemd.generator(7). */

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/names.h"
#include "basic/parse.h"
#include "spec/cdi.h"
#include "spec/spec.h"

static const char target_text[] = "# Made by mctl-generator\n"
                                  "[Unit]\n"
                                  "Description=Machines\n"
                                  "Before=multi-user.target\n";

/* Of the directories for units, the "late" one counts least: a machines.target from elsewhere is preferred. */
static int make_target(int late_fd)
{
        int r;

        r = file_write_atomic_at(late_fd, "machines.target", 0644, target_text, strlen(target_text));
        if (r < 0)
                return r;
        _cleanup_close_ int wants_fd = dir_open_or_make_at(late_fd, "multi-user.target.wants", 0755);
        if (wants_fd < 0)
                return wants_fd;
        return symlinkat("../machines.target", wants_fd, "machines.target") < 0 && errno != EEXIST ? -errno
                                                                                                   : 0;
}

/* The properties of the unit that settings of the machine stand for. */
static int settings_lines(const Spec *spec, Strv *lines)
{
        char signal_name[SIGNAL_NAME_MAX];
        bool hashes = spec_wants_hashes(spec);
        int r = hashes ? strv_append(lines, "[Unit]") : 0;

        if (r >= 0 && hashes)
                r = spec_need_device_mapper(lines);
        if (r >= 0)
                r = strv_append(lines, "[Service]");
        if (r >= 0 && spec->kill_signal > 0)
                r = strv_appendf(lines, "KillSignal=%s", signal_to_string(spec->kill_signal, signal_name));
        else if (r >= 0 && !spec->boot)
                r = strv_append(lines, "KillSignal=SIGTERM\nTimeoutStopSec=10s\nSuccessExitStatus=143");
        if (r >= 0 && spec->profile == PROFILE_PRIVILEGED)
                r = strv_append(lines, "DevicePolicy=auto\nDeviceAllow=");
        if (r >= 0 && spec->profile != PROFILE_PRIVILEGED)
                r = spec_allow_devices(spec, lines);
        return r < 0 ? r : strv_extend(lines, spec->resources);
}

/* A file with an error leaves the unit as it is: starting it then fails, and says why. */
static int make_drop_in(int dir_fd, const char *name)
{
        _cleanup_free_ char *dir = strf("container@%s.service.d", name), *text = NULL, *error = NULL;
        _cleanup_strv_ Strv lines = NULL, warnings = NULL;
        _cleanup_spec_ Spec *spec = spec_new(name);
        int r;

        if (!dir || !spec)
                return -ENOMEM;
        r = spec_load(spec, NULL, &warnings, &error);
        if (r >= 0)
                r = cdi_expand(spec, &error);
        if (error) {
                log_error("%s", error);
                return 0;
        }
        if (r >= 0)
                r = strv_appendf(&lines, "# Made by mctl-generator from the files of machine %s", name);
        if (r >= 0)
                r = settings_lines(spec, &lines);
        if (r >= 0)
                r = strv_extend(&lines, spec->unit_lines);
        if (r >= 0)
                r = strv_append(&lines, "");
        if (r < 0)
                return r;
        text = strv_join(lines, "\n");
        OOM_CHECK(text);
        _cleanup_close_ int drop_in_fd = dir_open_or_make_at(dir_fd, dir, 0755);
        return drop_in_fd < 0
                       ? drop_in_fd
                       : file_write_atomic_at(drop_in_fd, "50-machine.conf", 0644, text, strlen(text));
}

/* All machines that have a file, ours or systemd-nspawn's. */
static void make_drop_ins(int dir_fd, const char *const *places, const char *suffix)
{
        for (const char *const *place = places; *place; place++) {
                _cleanup_(closedir_cleanup) DIR *dir = opendir(*place);

                for (struct dirent *e; dir && (e = readdir(dir));) {
                        const char *end = endswith(e->d_name, suffix);
                        _cleanup_free_ char *name = end ? strndup(e->d_name, end - e->d_name) : NULL;
                        if (!name || !machine_name_valid(name) || streq(name, "_default"))
                                continue;
                        int r = make_drop_in(dir_fd, name);
                        if (r < 0)
                                log_error_errno(r, "Failed to make a drop-in for machine '%s'", name);
                }
        }
}

/* Nobody reads what a generator writes to its output: what is wrong goes to the kernel's log. */
static void log_to_kernel(void)
{
        _cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0 && !isatty(STDERR_FILENO))
                (void) dup2(fd, STDERR_FILENO);
}

int main(int argc, char *argv[])
{
        int r;

        if (argc != 4) {
                log_error("mctl-generator is run by systemd, with three directories.");
                return EXIT_FAILURE;
        }
        log_to_kernel();
        _cleanup_close_ int normal_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int late_fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = normal_fd < 0 || late_fd < 0 ? -errno : make_target(late_fd);
        if (r >= 0) {
                make_drop_ins(normal_fd, spec_nspawn_dirs, ".nspawn");
                make_drop_ins(normal_fd, spec_machine_dirs, ".machine");
        } else {
                log_error_errno(r, "Failed to make units");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

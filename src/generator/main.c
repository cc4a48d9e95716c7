/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-generator (systemd.generator(7)) makes drop-ins for the units of machines from the settings in
 * machine files. It also makes machines.target, for hosts without the package of systemd that has this unit.
 * A generated unit gives way to an existing file, which a packaged unit cannot do. */

#include <signal.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "spec/cdi.h"
#include "spec/spec.h"
#include "state/spec-load.h"

static const char target_text[] = "# Made by mctl-generator\n"
                                  "[Unit]\n"
                                  "Description=Machines\n"
                                  "Before=multi-user.target\n";

/* Units in the "late" directory have the lowest priority: any other machines.target is preferred. */
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

/* Adds the lines for settings of the machine that are properties of its unit. */
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

/* If a machine file has an error, the unit gets no drop-in. A start of the machine then fails, and reports
 * the error. */
static int make_drop_in(const Scope *scope, int dir_fd, const char *name)
{
        _cleanup_free_ char *dir = strf("container@%s.service.d", name), *text = NULL, *error = NULL;
        _cleanup_strv_ Strv lines = NULL, warnings = NULL;
        _cleanup_spec_ Spec *spec = spec_new(name);
        int r;

        if (!dir || !spec)
                return -ENOMEM;
        r = spec_load(scope, spec, NULL, &warnings, &error);
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

static int make_drop_ins(const Scope *scope, int dir_fd)
{
        _cleanup_strv_ Strv names = NULL;
        int r = spec_list_names(scope, &names);

        STRV_FOREACH (name, names) {
                int q = make_drop_in(scope, dir_fd, *name);
                if (q < 0)
                        log_error_errno(q, "Failed to make a drop-in for machine '%s'", *name);
        }
        return r;
}

/* systemd drops the output of generators, so messages go to the kernel's log. */
static void log_to_kernel(void)
{
        _cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0 && !isatty(STDERR_FILENO))
                (void) dup2(fd, STDERR_FILENO);
}

int main(int argc, char *argv[])
{
        _cleanup_scope_ Scope *scope = NULL;
        int r;

        log_open();
        if (argc != 4) {
                log_error("mctl-generator is run by systemd, with three directories.");
                return EXIT_FAILURE;
        }
        log_to_kernel();
        _cleanup_close_ int normal_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int late_fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = normal_fd < 0 || late_fd < 0 ? -errno : make_target(late_fd);
        if (r >= 0)
                r = scope_new(&scope);
        if (r >= 0)
                r = make_drop_ins(scope, normal_fd);
        if (r < 0) {
                log_error_errno(r, "Failed to make units");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-registryd: see mctl-registryd(8). */

#include <getopt.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "basic/log.h"
#include "registry/machine1.h"

static void help(void)
{
        printf("mctl-registryd\n"
               "\n"
               "The registry of machines, started by D-Bus when it is asked for.\n"
               "\n"
               "  -h --help      Show this help\n"
               "     --version   Show the version\n");
}

/* It is not us who is to end with a machine. */
static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *signal, void *userdata)
{
        Registry *registry = userdata;

        (void) source;
        return machined_has_signalled(registry, (pid_t) signal->ssi_pid) ? 0
                                                                         : sd_event_exit(registry->event, 0);
}

static int run(void)
{
        _cleanup_(registry_free_cleanup) Registry *registry = registry_new();
        sigset_t mask;
        int r;

        if (!registry)
                return log_oom();
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);

        r = registry_setup(registry);
        if (r < 0)
                return r;
        r = sd_event_add_signal(registry->event, NULL, SIGTERM, on_terminate, registry);
        if (r >= 0)
                r = sd_event_add_signal(registry->event, NULL, SIGINT, NULL, NULL);
        if (r < 0)
                return log_error_errno(r, "Failed to set up signals");

        (void) sd_notify(false, "READY=1");
        r = sd_event_loop(registry->event);
        (void) sd_notify(false, "STOPPING=1");
        return r < 0 ? log_error_errno(r, "Failed to run the event loop") : 0;
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case 'v':
                        puts("mctl " MCTL_VERSION);
                        return 0;
                default:
                        return EXIT_FAILURE;
                }
        if (optind < argc) {
                log_error("mctl-registryd takes no arguments.");
                return EXIT_FAILURE;
        }
        return run() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

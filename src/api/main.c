/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-registryd: see mctl-registryd(8). */

#include <getopt.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "api/confine.h"
#include "api/polkit.h"
#include "api/provider.h"
#include "api/registry1.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "manager/console.h"
#include "manager/handover.h"
#include "manager/kept.h"
#include "manager/os-name.h"
#include "manager/sweep.h"
#include "manager/transfer.h"
#include "systemd/bus.h"

#define OWN_UNIT       "mctl-registryd.service"
#define CONSOLE_SOCKET "console"

/* The parts of this program. */
typedef struct Registryd {
        Scope *scope;
        sd_event *event;
        sd_bus *bus;
        Manager *manager;
        Polkit polkit;
        Sweeper sweeper;
        Notifications notifications;
        Handovers handovers;
        Kept kept;
        Registry1 registry1;
        ProviderDoors provider;
        Observer observer, os_names;
} Registryd;

static void registryd_clear(Registryd *d)
{
        provider_end(&d->provider);
        if (d->manager) {
                sweeper_end(&d->sweeper);
                handovers_end(&d->handovers);
                notifications_end(&d->notifications);
                consoles_free(d->manager);
                transfers_free(d->manager);
                manager_free(d->manager);
        }
        sd_bus_flush_close_unref(d->bus);
        registry1_clear(&d->registry1);
        provider_clear(&d->provider);
        sd_event_unref(d->event);
        if (d->scope)
                scope_free(d->scope);
}

static void help(void)
{
        printf("mctl-registryd\n"
               "\n"
               "The registry of machines, started by D-Bus when it is asked for.\n"
               "\n"
               "  -h --help      Show this help\n"
               "     --version   Show the version\n");
}

/* --- idle ---------------------------------------------------------------------------------------------- */

static int on_name_released(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        Registryd *d = userdata;

        /* Calls that were sent before the name was released have been read now, and may keep the registry
         * running. */
        (void) reply;
        (void) ret_error;
        if (manager_is_idle(d->manager))
                return sd_event_exit(d->event, 0);
        manager_touch(d->manager);
        provider_hold(&d->provider);
        return sd_bus_request_name_async(d->bus, NULL, REGISTRY1_NAME, 0, NULL, NULL);
}

static void on_idle(void *userdata)
{
        Registryd *d = userdata;
        int r;

        if (provider_must_stay(&d->provider))
                return manager_touch(d->manager);
        provider_release(&d->provider);
        r = sd_bus_release_name_async(d->bus, NULL, REGISTRY1_NAME, on_name_released, d);
        if (r < 0)
                log_error_errno(r, "Failed to give the name back");
}

/* --- the beginning ------------------------------------------------------------------------------------- */

/* Takes the descriptors that systemd passes: the socket of launchers, and descriptors that an earlier
 * registry has stored. */
static int take_fds(Registryd *d)
{
        char **names = NULL;
        int n = sd_listen_fds_with_names(true, &names), listen_fd = -EBADF, r;

        for (int i = 0; i < n; i++)
                if (streq(names[i], CONSOLE_SOCKET))
                        listen_fd = SD_LISTEN_FDS_START + i;
        r = n < 0 ? n : consoles_new(d->manager);
        if (r >= 0)
                r = handovers_begin(&d->handovers, d->manager, &d->notifications, listen_fd);
        for (int i = 0; i < n && r >= 0; i++) {
                int fd = SD_LISTEN_FDS_START + i;
                if (fd != listen_fd && !consoles_restore(d->manager, names[i], fd) &&
                    !transfer_restore(d->manager, names[i], fd)) {
                        fd_close(fd);
                        (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
                }
        }
        if (r >= 0)
                consoles_restored(d->manager);
        strv_free(names);
        return r < 0 ? log_error_errno(r, "Failed to take what systemd hands to us") : 0;
}

static int ask_polkit(void *userdata, const PolicyQuestion *question)
{
        return polkit_ask(userdata, question);
}

/* No call is answered before all machines are known: an early call waits for a listing, too. */
static int set_up(Registryd *d)
{
        int r;

        r = scope_new(&d->scope);
        if (r < 0)
                return log_error_errno(r, "Failed to find out which instance this is");
        r = sd_event_default(&d->event);
        if (r < 0)
                return log_error_errno(r, "Failed to make an event loop");
        r = bus_open(d->scope->bus, &d->bus);
        if (r < 0)
                return log_error_errno(r, "Failed to connect to the bus");
        r = sd_bus_attach_event(d->bus, d->event, 0);
        if (r < 0)
                return log_error_errno(r, "Failed to attach the bus to the event loop");
        r = manager_new(d->scope, d->event, d->bus, &d->manager);
        if (r < 0)
                return log_error_errno(r, "Failed to begin with '%s'", d->scope->run_dir);
        d->polkit.bus = d->bus;
        /* A user manager has no polkit. */
        if (!d->scope->name) {
                d->manager->ask_policy = ask_polkit;
                d->manager->policy_userdata = &d->polkit;
        }
        r = registry1_add(&d->registry1, d->manager, d->bus);
        if (r < 0)
                return log_error_errno(r, "Failed to publish objects");
        sweeper_begin(&d->sweeper, d->manager);
        os_names_observe(d->manager, &d->os_names);
        notifications_begin(&d->notifications, d->manager);
        r = take_fds(d);
        kept_observe(&d->kept, d->manager, &d->notifications);
        if (r >= 0)
                r = manager_setup(d->manager, OWN_UNIT);
        if (r >= 0)
                r = provider_begin(&d->provider, d->manager, d->bus);
        if (r < 0)
                return r;
        r = sd_bus_request_name(d->bus, REGISTRY1_NAME, 0);
        if (r < 0)
                return log_error_errno(r, "Failed to take the name " REGISTRY1_NAME);
        d->observer = (Observer){ .idle = on_idle, .userdata = d };
        manager_observe(d->manager, &d->observer);
        manager_touch(d->manager);
        return 0;
}

/* The registry does not end with a machine. */
static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *signal, void *userdata)
{
        Registryd *d = userdata;

        (void) source;
        return d->manager->provider == PROVIDER_OTHERS &&
                               mirror_has_signalled(&d->provider.mirror, (pid_t) signal->ssi_pid)
                       ? 0
                       : sd_event_exit(d->event, 0);
}

static int run(void)
{
        _cleanup_(registryd_clear) Registryd d = {};
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);

        r = set_up(&d);
        if (r < 0)
                return r;
        r = sd_event_add_signal(d.event, NULL, SIGTERM, on_terminate, &d);
        if (r >= 0)
                r = sd_event_add_signal(d.event, NULL, SIGINT, NULL, NULL);
        if (r < 0)
                return log_error_errno(r, "Failed to set up signals");

        (void) sd_notify(false, "READY=1");
        r = sd_event_loop(d.event);
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

        log_open();
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
        int r = confine(getenv("RUNTIME_DIRECTORY"));
        if (r < 0) {
                log_error_errno(r, "Failed to confine the registry");
                return EXIT_FAILURE;
        }
        return run() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

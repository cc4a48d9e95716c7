/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/provider.h"

#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "manager/state-file.h"

#define CONFIG_FILE     "registry.conf"
#define CONFIG_FILE_MAX (64U * 1024U)

/* Whether D-Bus would start another program for a name. */
#define SERVICE_FILE(name) "/usr/share/dbus-1/system-services/" name ".service"

/* Provider= of registry.conf: 1 for yes, 0 for no, -1 for auto, or without the file. */
static int read_provider(const Scope *scope)
{
        _cleanup_free_ char *path = scope_config_path(scope, CONFIG_FILE), *text = NULL;
        int provider = -1, r;

        r = path ? file_read_at(AT_FDCWD, path, CONFIG_FILE_MAX, &text, NULL) : -ENOMEM;
        if (r < 0) {
                if (r != -ENOENT)
                        log_warning_errno(r, "Failed to read '%s'", strna(path));
                return -1;
        }
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *value = startswith(line, "Provider=");
                if (value && streq(value, "auto"))
                        provider = -1;
                else if (value && parse_boolean(value) >= 0)
                        provider = parse_boolean(value);
                else if (line[0] != '#' && line[0] != ';' && !streq(line, "[Registry]"))
                        log_warning("%s: '%s' is not understood: expected Provider=auto, yes or no in "
                                    "[Registry].",
                                    path, line);
        }
        return provider;
}

/* Whether systemd can start systemd-machined; true if this is unknown. */
static bool has_machined(const Manager *manager)
{
        _cleanup_free_ char *state = NULL;
        int r = systemd_unit_file_state(manager->systemd, MACHINED_UNIT, &state);

        if (r < 0 && r != -ENOENT)
                log_warning_errno(r, "Failed to ask for %s", MACHINED_UNIT);
        return r < 0 ? r != -ENOENT : !startswith(state, "masked");
}

static int begin_import1(ProviderDoors *doors)
{
        int r;

        if (access(SERVICE_FILE(IMPORT1_NAME), F_OK) >= 0)
                return 0;
        r = import1_add(&doors->import1, doors->manager, doors->bus);
        if (r >= 0)
                r = sd_bus_request_name(doors->bus, IMPORT1_NAME, 0);
        if (r == -EEXIST)
                return 0;
        if (r < 0)
                return log_error_errno(r, "Failed to take the name " IMPORT1_NAME);
        doors->has_import1 = true;
        import1_tell(&doors->import1);
        return 0;
}

/* The order of the observers is the order of the steps for a new machine: its socket, its file, which names
 * the socket, and the signal. */
static int begin_provider(ProviderDoors *doors)
{
        Manager *manager = doors->manager;
        int r;

        r = machine1_add(&doors->machine1, manager, doors->bus);
        if (r < 0)
                return log_error_errno(r, "Failed to publish objects");
        r = sd_bus_request_name(doors->bus, MACHINE1_NAME, 0);
        if (r == -EEXIST) {
                log_warning("%s has an owner already: machines are not offered there.", MACHINE1_NAME);
                return 0;
        }
        if (r < 0)
                return log_error_errno(r, "Failed to take the name " MACHINE1_NAME);
        instances_open(&doors->instances, manager);
        state_files_observe(manager, &doors->state_files);
        machine1_tell(&doors->machine1);
        /* Machines of other programs are read from their files. */
        manager->provider = PROVIDER_OURS;
        r = state_files_load(manager);
        if (r >= 0)
                r = machine_varlink_open(&doors->varlink, manager);
        if (r >= 0)
                r = resolve_hook_open(&doors->resolve_hook, manager);
        if (r < 0)
                return r;
        manager_set_provider(manager, PROVIDER_OURS);
        return begin_import1(doors);
}

int provider_begin(ProviderDoors *doors, Manager *manager, sd_bus *bus)
{
        int provider = manager->scope->name ? 0 : read_provider(manager->scope), r;
        bool machined = !manager->scope->name && provider != 1 && has_machined(manager);

        *doors = (ProviderDoors){ manager, bus };
        if (provider != 0 && !machined)
                return begin_provider(doors);
        if (!machined)
                return 0;
        r = mirror_begin(&doors->mirror, manager);
        if (r < 0)
                return log_error_errno(r, "Failed to follow the machines of systemd-machined");
        manager_set_provider(manager, PROVIDER_OTHERS);
        return 0;
}

void provider_end(ProviderDoors *doors)
{
        if (!doors->manager)
                return;
        instances_close(&doors->instances);
        resolve_hook_close(&doors->resolve_hook);
        machine_varlink_close(&doors->varlink);
}

void provider_clear(ProviderDoors *doors)
{
        machine1_clear(&doors->machine1);
        import1_clear(&doors->import1);
}

void provider_release(const ProviderDoors *doors)
{
        if (doors->manager->provider == PROVIDER_OURS)
                (void) sd_bus_release_name(doors->bus, MACHINE1_NAME);
        if (doors->has_import1)
                (void) sd_bus_release_name(doors->bus, IMPORT1_NAME);
}

void provider_hold(const ProviderDoors *doors)
{
        if (doors->manager->provider == PROVIDER_OURS)
                (void) sd_bus_request_name_async(doors->bus, NULL, MACHINE1_NAME, 0, NULL, NULL);
        if (doors->has_import1)
                (void) sd_bus_request_name_async(doors->bus, NULL, IMPORT1_NAME, 0, NULL, NULL);
}

bool provider_must_stay(const ProviderDoors *doors)
{
        return doors->manager->provider == PROVIDER_OURS && access(SERVICE_FILE(MACHINE1_NAME), F_OK) >= 0;
}

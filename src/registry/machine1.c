/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "registry/instance.h"
#include "registry/machine1.h"
#include "registry/resolve-hook.h"
#include "registry/transfer.h"

#define CONFIG_FILE     SYSCONFDIR "/registry.conf"
#define CONFIG_FILE_MAX (64U * 1024U)

char *machine1_machine_path(const char *name)
{
        char *path = NULL;

        return sd_bus_path_encode(MACHINE1_MACHINES, name, &path) < 0 ? NULL : path;
}

int machine1_append_id(sd_bus_message *m, const char *uuid)
{
        uint8_t id[16];

        return sd_bus_message_append_array(m, 'y', id, parse_id128(uuid, id) >= 0 ? sizeof(id) : 0);
}

int machine1_append_pairs(sd_bus_message *m, const Strv pairs)
{
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && pairs && pairs[i]; i += 2)
                r = sd_bus_message_append(m, "{ss}", pairs[i], pairs[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Provider= of registry.conf: 1 for yes, 0 for no, -1 for auto and where there is no such file. */
static int read_provider(void)
{
        _cleanup_free_ char *text = NULL;
        int provider = -1, r;

        r = file_read_at(AT_FDCWD, CONFIG_FILE, CONFIG_FILE_MAX, &text, NULL);
        if (r < 0) {
                if (r != -ENOENT)
                        log_warning_errno(r, "Failed to read '%s'", CONFIG_FILE);
                return -1;
        }
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *value = startswith(line, "Provider=");
                if (value && streq(value, "auto"))
                        provider = -1;
                else if (value && parse_boolean(value) >= 0)
                        provider = parse_boolean(value);
                else if (line[0] != '#' && line[0] != ';' && !streq(line, "[Registry]"))
                        log_warning(
                                "%s: '%s' is not understood: expected Provider=auto, yes or no in [Registry].",
                                CONFIG_FILE, line);
        }
        return provider;
}

/* Whether systemd-machined is there to be started; it is where nothing else is known. */
static bool has_machined(Registry *registry)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *state;
        int r;

        r = sd_bus_call_method(registry->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                               "GetUnitFileState", &error, &reply, "s", MACHINE1_MACHINED);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &state);
        if (r < 0 && r != -ENOENT)
                log_warning_errno(r, "Failed to ask for %s", MACHINE1_MACHINED);
        return r < 0 ? r != -ENOENT : !startswith(state, "masked");
}

static int become_provider(Registry *registry)
{
        int r;

        r = sd_bus_add_object_vtable(registry->bus, NULL, MACHINE1_PATH, MACHINE1_MANAGER,
                                     machine1_manager_vtable, registry);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(registry->bus, NULL, MACHINE1_MACHINES, MACHINE1_MACHINE,
                                               machine1_machine_vtable, machine1_object_find, registry);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(registry->bus, NULL, MACHINE1_MACHINES,
                                               machine1_node_enumerate, registry);
        if (r >= 0)
                r = machine1_images_setup(registry);
        if (r < 0)
                return log_error_errno(r, "Failed to publish objects");
        r = sd_bus_request_name(registry->bus, MACHINE1_NAME, 0);
        if (r == -EEXIST) {
                log_warning("%s has an owner already: machines are not offered there.", MACHINE1_NAME);
                return 0;
        }
        if (r < 0)
                return log_error_errno(r, "Failed to take the name " MACHINE1_NAME);
        registry->machine1 = MACHINE1_PROVIDER;
        instances_sweep();
        r = state_files_load(registry);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", MACHINE1_STATE_DIR);
        r = machine1_varlink_setup(registry);
        return r < 0 ? r : resolve_hook_setup(registry);
}

int machine1_setup(Registry *registry)
{
        int provider = read_provider(), r = 0;
        bool machined = provider != 1 && has_machined(registry);

        if (provider != 0 && !machined)
                r = become_provider(registry);
        else if (machined) {
                registry->machine1 = MACHINE1_CLIENT;
                r = foreign_follow(registry);
        }
        for (size_t i = 0; i < registry->n_machines && r >= 0; i++)
                machine1_publish(registry, registry->machines[i], registry->machines[i]->announced);
        return r;
}

void machine1_release(Registry *registry)
{
        if (registry->machine1 == MACHINE1_PROVIDER)
                (void) sd_bus_release_name(registry->bus, MACHINE1_NAME);
        if (registry->import1)
                (void) sd_bus_release_name(registry->bus, IMPORT1_NAME);
}

void machine1_hold(Registry *registry)
{
        if (registry->machine1 == MACHINE1_PROVIDER)
                (void) sd_bus_request_name_async(registry->bus, NULL, MACHINE1_NAME, 0, NULL, NULL);
        if (registry->import1)
                (void) sd_bus_request_name_async(registry->bus, NULL, IMPORT1_NAME, 0, NULL, NULL);
}

bool machine1_must_stay(const Registry *registry)
{
        return registry->machine1 == MACHINE1_PROVIDER &&
               access("/usr/share/dbus-1/system-services/" MACHINE1_NAME ".service", F_OK) >= 0;
}

static int tell_clients(Registry *registry, Machine *m, bool there)
{
        _cleanup_free_ char *path = machine1_machine_path(m->name);
        int r = 0;

        OOM_CHECK(path);
        if (there && !m->foreign)
                r = instance_open(m);
        if (r < 0) /* it is known all the same */
                log_warning_errno(r, "Failed to open '%s'", strna(m->control_address));
        if (there)
                r = state_file_write(m);
        else {
                instance_tell(m, "SHUTDOWN");
                instance_close(m);
                state_file_remove(m);
        }
        return r < 0 ? r
                     : sd_bus_emit_signal(registry->bus, MACHINE1_PATH, MACHINE1_MANAGER,
                                          there ? "MachineNew" : "MachineRemoved", "so", m->name, path);
}

void machine1_publish(Registry *registry, Machine *machine, bool there)
{
        pid_t leader = there && machine->record.handed_over ? machine->record.leader : 0;
        int r = 0;

        if (leader == machine->published || registry->machine1 == MACHINE1_NONE)
                return;
        /* Of one that started anew, we may not have seen that it was gone. */
        if (registry->machine1 == MACHINE1_PROVIDER && machine->published)
                r = tell_clients(registry, machine, false);
        if (registry->machine1 == MACHINE1_PROVIDER && leader && r >= 0)
                r = tell_clients(registry, machine, true);
        else if (registry->machine1 == MACHINE1_CLIENT && !machine->foreign && leader)
                r = machined_register(registry, machine); /* that its unit is gone, it sees by itself */
        if (r < 0)
                log_warning_errno(r, "Failed to publish machine '%s'", machine->name);
        machine->published = leader;
        resolve_hook_tell(registry);
}

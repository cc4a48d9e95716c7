/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/os-release.h"
#include "image/image.h"
#include "registry/registry.h"
#include "registry/unit.h"

static const char *const state_names[_MACHINE_STATE_MAX] = {
        [MACHINE_STARTING] = "starting",
        [MACHINE_RUNNING] = "running",
        [MACHINE_STOPPING] = "stopping",
        [MACHINE_FAILED] = "failed",
};

const char *machine_state_to_string(MachineState state)
{
        return state_names[state];
}

void machine_free(Machine *machine)
{
        sd_bus_slot_unref(machine->changed_slot);
        record_clear(&machine->record);
        free(machine->name);
        free(machine->unit);
        free(machine->image);
        free(machine->os);
        free(machine);
}

char *machine_path(const char *name)
{
        char *path = NULL;

        return sd_bus_path_encode(MACHINE_PATH, name, &path) < 0 ? NULL : path;
}

static int forget_record(Machine *machine)
{
        record_clear(&machine->record);
        machine->record_time = (struct timespec){};
        return 0;
}

/* What people call the image: its name where it is in the store, else its path. */
static int read_image(Machine *machine, int machine_fd)
{
        _cleanup_spec_ Spec *spec = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = machine_spec_read(machine_fd, machine->name, &spec, &error);
        if (r < 0)
                return r;
        free(machine->image);
        machine->image = TAKE_PTR(spec->image);
        return 0;
}

static void read_os(Machine *machine)
{
        free(machine->os);
        machine->os = NULL;
        if (!machine->record.root)
                return;
        _cleanup_close_ int root_fd = open(machine->record.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd >= 0 && os_release_read(root_fd, &machine->os, NULL) < 0)
                machine->os = NULL;
}

int machine_read(Machine *machine)
{
        struct stat st;
        int r;

        _cleanup_close_ int run_fd = run_dir_open();
        if (run_fd < 0)
                return run_fd;
        _cleanup_close_ int machine_fd = machine_dir_open(run_fd, machine->kind, machine->name, false);
        if (machine_fd < 0 || fstatat(machine_fd, "leader", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return forget_record(machine);
        if (machine->record.leader > 0 && st.st_mtim.tv_sec == machine->record_time.tv_sec &&
            st.st_mtim.tv_nsec == machine->record_time.tv_nsec)
                return 0;

        forget_record(machine);
        r = record_read(machine_fd, &machine->record);
        if (r < 0)
                return r;
        machine->record_time = st.st_mtim;
        r = read_image(machine, machine_fd);
        read_os(machine);
        return r;
}

static int reply_job(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        sd_bus_message *call = userdata;
        const char *job;
        int r;

        (void) ret_error;
        r = sd_bus_message_read(reply, "o", &job);
        return r < 0 ? r : sd_bus_reply_method_return(call, "o", job);
}

static int reply_nothing(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        (void) reply;
        (void) ret_error;
        return sd_bus_reply_method_return(userdata, "");
}

static int manager_call(Registry *registry, sd_bus_message **ret, const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(registry->bus, &request, "org.freedesktop.systemd1",
                                           "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                           method);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(request, types, ap);
        va_end(ap);
        if (r >= 0)
                *ret = TAKE_PTR(request);
        return r;
}

static int stop_unit(Registry *registry, Machine *machine, sd_bus_message *call)
{
        sd_bus_message *request = NULL;
        int r;

        r = manager_call(registry, &request, "StopUnit", "ss", machine->unit, "replace");
        return r < 0 ? r : registry_forward(registry, request, call, reply_job, NULL);
}

static int kill_unit(Registry *registry, Machine *machine, const char *whom, int sig, sd_bus_message *call)
{
        sd_bus_message *request = NULL;
        int r;

        r = manager_call(registry, &request, "KillUnit", "ssi", machine->unit, whom, sig);
        if (r < 0)
                return r;
        if (call)
                return registry_forward(registry, request, call, reply_nothing, NULL);
        r = sd_bus_send(registry->bus, request, NULL);
        sd_bus_message_unref(request);
        return r;
}

/* The stop ladder is systemd's: the unit's KillSignal= asks the init to power off. */
int machine_power_off(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return stop_unit(registry, machine, call);
}

int machine_reboot(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return kill_unit(registry, machine, "main", SIGRTMIN + 5, call);
}

/* First the job, so that the end counts as asked for and no policy starts the machine again; then the end. */
int machine_terminate(Registry *registry, Machine *machine, sd_bus_message *call)
{
        int r;

        r = stop_unit(registry, machine, call);
        if (r >= 0) {
                machine->forget = true;
                r = kill_unit(registry, machine, "all", SIGKILL, NULL);
        }
        return r;
}

int machine_kill(Registry *registry, Machine *machine, sd_bus_message *call)
{
        const char *whom;
        int32_t sig;
        int r;

        r = sd_bus_message_read(call, "si", &whom, &sig);
        if (r < 0)
                return r;
        if (sig < 1 || sig > SIGRTMAX)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "There is no signal %i.",
                                                  sig);
        if (streq(whom, "leader"))
                whom = "main";
        else if (!isempty(whom) && !streq(whom, "all"))
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "A signal goes to 'leader' or to 'all', not to '%s'.",
                                                  whom);
        return kill_unit(registry, machine, isempty(whom) ? "all" : whom, sig, call);
}

/* Properties that wait for their types. */
typedef struct Change {
        Registry *registry;
        sd_bus_message *call;
        char *unit;
        int runtime;
        Strv assignments;
} Change;

static void change_free(Change *change)
{
        sd_bus_message_unref(change->call);
        free(change->unit);
        strv_free(change->assignments);
        free(change);
}
DEFINE_CLEANUP(Change *, change_free);

static int change_send(Change *change)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = manager_call(change->registry, &request, "SetUnitProperties", "sb", change->unit,
                         change->runtime);
        if (r >= 0)
                r = sd_bus_message_open_container(request, 'a', "(sv)");
        if (r >= 0)
                r = unit_append_properties(request, change->registry->property_types, change->assignments,
                                           &error);
        if (r == -EINVAL)
                return sd_bus_reply_method_errorf(change->call, SD_BUS_ERROR_INVALID_ARGS, "%s",
                                                  strna(error));
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        return r < 0 ? r
                     : registry_forward(change->registry, TAKE_PTR(request), change->call, reply_nothing,
                                        NULL);
}

static int on_types(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(change_free_cleanup) Change *change = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int r;

        (void) ret_error;
        if (e)
                return sd_bus_reply_method_error(change->call, e);
        r = registry_keep_types(change->registry, reply);
        return r < 0 ? r : change_send(change);
}

int machine_set_properties(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(change_free_cleanup) Change *change = calloc(1, sizeof(Change));
        _cleanup_free_ char *error = NULL;
        _cleanup_spec_ Spec *spec = NULL;
        int r;

        OOM_CHECK(change);
        *change = (Change){ .registry = registry,
                            .call = sd_bus_message_ref(call),
                            .unit = strdup(machine->unit) };
        OOM_CHECK(change->unit);
        r = sd_bus_message_read(call, "b", &change->runtime);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &change->assignments);
        if (r < 0)
                return r;
        spec = spec_new(NULL);
        OOM_CHECK(spec);
        STRV_FOREACH (s, change->assignments) {
                r = spec_assign_resource(spec, *s, &error);
                if (r == -EINVAL)
                        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "%s", error);
                if (r < 0)
                        return r;
        }
        if (registry->property_types)
                return change_send(change);
        r = registry_introspect(registry, call, on_types, change);
        if (r > 0)
                TAKE_PTR(change);
        return r;
}

int machine_get_spec(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_free_ char *text = NULL;
        int r;

        (void) registry;
        _cleanup_close_ int run_fd = run_dir_open();
        if (run_fd < 0)
                return run_fd;
        _cleanup_close_ int machine_fd = machine_dir_open(run_fd, machine->kind, machine->name, false);
        r = machine_fd < 0 ? machine_fd : file_read_at(machine_fd, "spec.json", SPEC_FILE_MAX, &text, NULL);
        if (r == -ENOENT)
                return sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_MACHINE, "Machine '%s' does not run.",
                                                  machine->name);
        return r < 0 ? r : sd_bus_reply_method_return(call, "s", text);
}

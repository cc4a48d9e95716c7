/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/os-release.h"
#include "basic/time.h"
#include "image/image.h"
#include "image/stack.h"
#include "registry/instance.h"
#include "registry/machine1.h"
#include "registry/unit.h"
#include "sandbox/cgroup.h"
#include "sandbox/leader.h"

static const char *const state_names[_MACHINE_STATE_MAX] = {
        [MACHINE_STARTING] = "starting",
        [MACHINE_RUNNING] = "running",
        [MACHINE_STOPPING] = "stopping",
        [MACHINE_FAILED] = "failed",
};

const char *machine_state_to_string(const Machine *machine)
{
        return machine->paused && machine->state == MACHINE_RUNNING ? "paused" : state_names[machine->state];
}

Machine *machine_new(Registry *registry)
{
        Machine *m = malloc(sizeof(Machine));

        if (m)
                *m = (Machine){ .registry = registry, .leader_fd = -EBADF, .vsock_cid = UINT32_MAX };
        return m;
}

void machine_free(Machine *machine)
{
        sd_bus_slot_unref(machine->changed_slot);
        sd_event_source_disable_unref(machine->leader_source);
        fd_close(machine->leader_fd);
        free(machine->class);
        free(machine->service);
        free(machine->interfaces);
        free(machine->ssh_address);
        free(machine->ssh_key);
        instance_close(machine);
        free(machine->control_address);
        record_clear(&machine->record);
        free(machine->name);
        free(machine->unit);
        free(machine->os);
        free(machine->image);
        free(machine);
}

char *machine_path(const char *name)
{
        char *path = NULL;

        return sd_bus_path_encode(MACHINE_PATH, name, &path) < 0 ? NULL : path;
}

static int forget_record(Machine *machine)
{
        machine->paused = machine->watch_freezer = false;
        record_clear(&machine->record);
        machine->record_time = (struct timespec){};
        return 0;
}

const char *machine_image(const Machine *machine)
{
        return machine->image ?: machine->record.root ?: "";
}

/* What is in the store has a name there. */
static void read_image(Machine *machine)
{
        const char *file = startswith(machine->record.root, IMAGE_STORE "/");

        free(machine->image);
        machine->image = NULL;
        if (file)
                (void) image_name_from_file(file, &machine->image);
}

/* Of a directory it can be read when the machine is gone, too; what is on a disk or in layers, only the machine sees. */
static int open_tree_of(const Machine *machine)
{
        bool stack = endswith(machine->record.root, STACK_SUFFIX);
        _cleanup_close_ int root_fd = stack ? -EBADF
                                            : open(machine->record.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd >= 0)
                return TAKE_FD(root_fd);
        _cleanup_close_ int proc_fd = machine->record.handed_over ? machine_open(machine) : -ESRCH;
        return proc_fd < 0 ? proc_fd : leader_open_root(proc_fd);
}

void machine_read_os(Machine *machine)
{
        free(machine->os);
        machine->os = NULL;
        if (!machine->record.root)
                return;
        read_image(machine);
        _cleanup_close_ int root_fd = open_tree_of(machine);
        if (root_fd >= 0 && os_release_read(root_fd, &machine->os, NULL) < 0)
                machine->os = NULL;
}

static uint64_t to_monotonic(uint64_t realtime)
{
        return realtime - (now_usec(CLOCK_REALTIME) - now_usec(CLOCK_MONOTONIC));
}

void machine_check_freezer(Machine *machine)
{
        bool before = machine->paused;

        machine->paused = machine->record.handed_over && cgroup_is_frozen(machine->record.leader) > 0;
        if (machine->paused != before)
                instance_tell(machine, machine->paused ? "STOP" : "RESUME");
        machine->watch_freezer = machine->watch_freezer || machine->paused;
}

int machine_read(Machine *machine)
{
        struct stat st;
        int r;

        _cleanup_close_ int machine_fd = machine_dir_open(machine->registry->run_fd, machine->kind,
                                                          machine->name, false);
        if (machine_fd < 0 || fstatat(machine_fd, "leader", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return forget_record(machine);
        if (machine->watch_freezer)
                machine_check_freezer(machine);
        /* It is replaced, not written to: by a file of another number, if not of a later time. */
        if (machine->record.leader > 0 && st.st_ino == machine->record_file &&
            st.st_mtim.tv_sec == machine->record_time.tv_sec &&
            st.st_mtim.tv_nsec == machine->record_time.tv_nsec)
                return 0;

        forget_record(machine);
        r = record_read(machine_fd, &machine->record);
        if (r < 0)
                return r;
        machine->record_time = st.st_mtim;
        machine->record_file = st.st_ino;
        machine->since_monotonic = to_monotonic(machine->record.since);
        machine_read_os(machine);
        return 0;
}

int machine_open(const Machine *m)
{
        if (!streq(m->class, "container"))
                return -EOPNOTSUPP;
        _cleanup_close_ int fd = leader_open(&m->record);
        if (fd < 0)
                return fd;
        if (m->foreign && (leader_shares(fd, "mnt") || (m->owner != 0 && leader_shares(fd, "user"))))
                return -EOPNOTSUPP;
        return TAKE_FD(fd);
}

int machine_reply_job(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        sd_bus_message *call = userdata;
        const char *job;
        int r;

        (void) ret_error;
        r = sd_bus_message_read(reply, "o", &job);
        return r < 0 ? r : sd_bus_reply_method_return(call, "o", job);
}

int machine_reply_nothing(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        (void) reply;
        (void) ret_error;
        return sd_bus_reply_method_return(userdata, "");
}

/* Takes the request over. Without a call, nobody waits for the answer. */
static int send_request(Registry *registry, sd_bus_message *request, sd_bus_message *call,
                        sd_bus_message_handler_t done)
{
        int r;

        if (call)
                return registry_forward(registry, request, call, done, NULL);
        r = sd_bus_send(registry->bus, request, NULL);
        sd_bus_message_unref(request);
        return r;
}

static int kill_unit(Registry *registry, const char *unit, const char *whom, int sig, sd_bus_message *call)
{
        sd_bus_message *request = NULL;
        int r;

        r = systemd_call(registry->bus, &request, "KillUnit", "ssi", unit, whom, sig);
        return r < 0 ? r : send_request(registry, request, call, machine_reply_nothing);
}

/* A stop that waits for the unit to thaw: systemd since 257 stops no frozen one. */
typedef struct Stop {
        Registry *registry;
        sd_bus_message *call;
        sd_bus_message_handler_t done;
        char *unit;
        bool now; /* with SIGKILL for all */
} Stop;

static void stop_free(Stop *s)
{
        s->registry->n_pending--;
        sd_bus_message_unref(s->call);
        free(s->unit);
        free(s);
}
DEFINE_CLEANUP(Stop *, stop_free);

/* First the job, so that the end counts as asked for and no policy starts the machine again; then the end. */
static int stop_running(Registry *registry, const char *unit, sd_bus_message *call,
                        sd_bus_message_handler_t done, bool now)
{
        sd_bus_message *request = NULL;
        int r;

        r = systemd_call(registry->bus, &request, "StopUnit", "ss", unit, "replace");
        if (r >= 0)
                r = send_request(registry, request, call, done);
        return r < 0 || !now ? r : kill_unit(registry, unit, "all", SIGKILL, NULL);
}

static int on_thawed(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(stop_free_cleanup) Stop *s = userdata;

        (void) reply; /* where it did not, StopUnit says why */
        (void) ret_error;
        int r = stop_running(s->registry, s->unit, s->call, s->done, s->now);
        return r < 0 && s->call ? sd_bus_reply_method_errno(s->call, r, NULL) : r;
}

static int stop_unit(Registry *registry, Machine *machine, sd_bus_message *call,
                     sd_bus_message_handler_t done, bool now)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_(stop_free_cleanup) Stop *s = NULL;
        int r;

        if (!machine->paused)
                return stop_running(registry, machine->unit, call, done, now);
        s = calloc(1, sizeof(Stop));
        OOM_CHECK(s);
        *s = (Stop){ registry, sd_bus_message_ref(call), done, strdup(machine->unit), now };
        registry->n_pending++;
        OOM_CHECK(s->unit);
        r = systemd_call(registry->bus, &request, "ThawUnit", "s", machine->unit);
        if (r >= 0)
                r = sd_bus_call_async(registry->bus, NULL, request, on_thawed, s, 0);
        if (r < 0)
                return r;
        TAKE_PTR(s);
        return 1;
}

/* Sends a signal to a foreign leader. No job of systemd stands for what that does, where one is asked for. */
static int signal_leader(Machine *machine, int sig, sd_bus_message *call, sd_bus_message_handler_t done)
{
        int r = foreign_signal(machine, sig);

        if (r < 0 || !call)
                return r;
        return done == machine_reply_job ? sd_bus_reply_method_return(call, "o", "/")
                                         : sd_bus_reply_method_return(call, "");
}

/* The stop ladder is systemd's: the unit's KillSignal= asks the init to power off. */
int machine_power_off(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return machine->foreign ? signal_leader(machine, SIGRTMIN + 4, call, machine_reply_job)
                                : stop_unit(registry, machine, call, machine_reply_job, false);
}

int machine_reboot(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return machine->foreign ? signal_leader(machine, SIGRTMIN + 5, call, machine_reply_nothing)
                                : kill_unit(registry, machine->unit, "main", SIGRTMIN + 5, call);
}

static int terminate(Registry *registry, Machine *machine, sd_bus_message *call,
                     sd_bus_message_handler_t done)
{
        if (!machine->owns_unit)
                return signal_leader(machine, SIGKILL, call, done);
        machine->forget = true;
        return stop_unit(registry, machine, call, done, true);
}

int machine_terminate(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return terminate(registry, machine, call, machine_reply_job);
}

int machine_terminate_quietly(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return terminate(registry, machine, call, machine_reply_nothing);
}

int machine_signal(Registry *registry, Machine *machine, const char *whom, int sig, sd_bus_message *call)
{
        bool leader = streq(whom, "leader");

        return !machine->foreign || (!leader && machine->owns_unit)
                       ? kill_unit(registry, machine->unit, leader ? "main" : "all", sig, call)
                       : signal_leader(machine, sig, call, machine_reply_nothing);
}

static int freeze_unit(Registry *registry, Machine *machine, sd_bus_message *call, const char *method)
{
        sd_bus_message *request = NULL;
        int r;

        if (!machine->owns_unit)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NOT_SUPPORTED,
                                                  "Machine '%s' has no unit of its own.", machine->name);
        machine->watch_freezer = true;
        r = systemd_call(registry->bus, &request, method, "s", machine->unit);
        return r < 0 ? r : send_request(registry, request, call, machine_reply_nothing);
}

int machine_pause(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return freeze_unit(registry, machine, call, "FreezeUnit");
}

int machine_resume(Registry *registry, Machine *machine, sd_bus_message *call)
{
        return freeze_unit(registry, machine, call, "ThawUnit");
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
        if (!isempty(whom) && !streq(whom, "leader") && !streq(whom, "all"))
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "A signal goes to 'leader' or to 'all', not to '%s'.",
                                                  whom);
        return machine_signal(registry, machine, whom, sig, call);
}

int machine_set_properties(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_strv_ Strv assignments = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_spec_ Spec *spec = spec_new(NULL);
        int runtime, r;

        OOM_CHECK(spec);
        if (!machine->owns_unit)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_NOT_SUPPORTED,
                                                  "Machine '%s' has no unit of its own.", machine->name);
        r = sd_bus_message_read(call, "b", &runtime);
        if (r >= 0)
                r = sd_bus_message_read_strv(call, &assignments);
        STRV_FOREACH (s, assignments)
                if (r >= 0)
                        r = spec_assign_resource(spec, *s, &error);
        if (r >= 0)
                r = systemd_call(registry->bus, &request, "SetUnitProperties", "sb", machine->unit, runtime);
        if (r >= 0)
                r = sd_bus_message_open_container(request, 'a', "(sv)");
        if (r >= 0)
                r = unit_append_properties(request, registry->property_types, assignments, &error);
        if (r == -EINVAL && error)
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "%s", error);
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        return r < 0 ? r : registry_forward(registry, TAKE_PTR(request), call, machine_reply_nothing, NULL);
}

int machine_get_spec(Registry *registry, Machine *machine, sd_bus_message *call)
{
        _cleanup_free_ char *text = NULL;
        int r;

        if (machine->foreign)
                return sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_MACHINE,
                                                  "Machine '%s' is none of mctl.", machine->name);
        _cleanup_close_ int machine_fd = machine_dir_open(registry->run_fd, machine->kind, machine->name,
                                                          false);
        r = machine_fd < 0 ? machine_fd : file_read_at(machine_fd, "spec.json", SPEC_FILE_MAX, &text, NULL);
        if (r == -ENOENT)
                return sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_MACHINE, "Machine '%s' does not run.",
                                                  machine->name);
        return r < 0 ? r : sd_bus_reply_method_return(call, "s", text);
}

bool machine_is_host(const Machine *machine)
{
        return machine == &machine->registry->host;
}

int machine_open_or_host(const Machine *machine)
{
        return machine_is_host(machine) ? RET_NERRNO(open("/proc/1", O_PATH | O_DIRECTORY | O_CLOEXEC))
                                        : machine_open(machine);
}

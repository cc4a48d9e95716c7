/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry/doors.h"

#include <fcntl.h>
#include <signal.h>

#include "basic/fd.h"
#include "registry/machine1.h"
#include "registry/polkit.h"

#define MACHINE  "io.systemd.Machine."
#define INSTANCE "io.systemd.MachineInstance."
#define IMAGE    "io.systemd.MachineImage."

/* Calls that one method of varlink may need, at most. */
#define STEPS_MAX 3

typedef struct Passage Passage;

typedef struct Door {
        const char *name;
        const char *action, *verb; /* of polkit */
        /* Appends calls to the passage; -EINVAL where a parameter is wrong, which is p->wrong. */
        int (*prepare)(Passage *p, const json_t *parameters);
        int (*answer)(Passage *p, sd_bus_message *reply, json_t **ret, int *ret_fd);
} Door;

/* Somebody's way through one. */
struct Passage {
        Registry *registry;
        const Door *door;
        char *target; /* the name of the machine or image */
        VarlinkCall *call;
        sd_bus_message *steps[STEPS_MAX];
        size_t n_steps, step;
        const char *wrong;
};

static void passage_free(Passage *p)
{
        for (size_t i = 0; i < p->n_steps; i++)
                sd_bus_message_unref(p->steps[i]);
        if (p->call)
                varlink_finish(p->call, "io.systemd.System", NULL, -EBADF);
        free(p->target);
        free(p);
}
DEFINE_CLEANUP(Passage *, passage_free);

/* --- parameters --------------------------------------------------------------------------------------------------- */

static int take_string(Passage *p, const json_t *parameters, const char *key, const char *initial,
                       const char **ret)
{
        const json_t *value = json_object_get(parameters, key);

        *ret = !value || json_is_null(value) ? initial : json_string_value(value);
        if (*ret)
                return 0;
        p->wrong = key;
        return -EINVAL;
}

static int take_flag(Passage *p, const json_t *parameters, const char *key, int *ret)
{
        const json_t *value = json_object_get(parameters, key);

        *ret = json_is_true(value);
        if (!value || json_is_null(value) || json_is_boolean(value))
                return 0;
        p->wrong = key;
        return -EINVAL;
}

static int take_strings(Passage *p, const json_t *parameters, const char *key, Strv *ret)
{
        const json_t *value = json_object_get(parameters, key), *item;
        size_t i;
        int r = 0;

        json_array_foreach (value, i, item)
                if (r >= 0)
                        r = json_is_string(item) ? strv_append(ret, json_string_value(item)) : -EINVAL;
        if (r >= 0 && (!value || json_is_null(value) || json_is_array(value)))
                return 0;
        p->wrong = key;
        return r < 0 && r != -EINVAL ? r : -EINVAL;
}

/* Begins one more call, whose first argument is what it is about. */
static int add_step(Passage *p, const char *member, sd_bus_message **ret)
{
        bool ours = startswith(p->door->name, INSTANCE);
        int r = sd_bus_message_new_method_call(
                p->registry->bus, p->steps + p->n_steps, ours ? REGISTRY_NAME : MACHINE1_NAME,
                ours ? REGISTRY_PATH : MACHINE1_PATH, ours ? REGISTRY_INTERFACE : MACHINE1_MANAGER, member);

        if (r < 0)
                return r;
        *ret = p->steps[p->n_steps++];
        return p->target ? sd_bus_message_append(*ret, "s", p->target) : 0;
}

/* --- machines ----------------------------------------------------------------------------------------------------- */

/* The call has the name that the method has here, and "Machine" after it: TerminateMachine(s). */
static int prepare_plain(Passage *p, const json_t *parameters)
{
        _cleanup_free_ char *member = strf("%sMachine", strrchr(p->door->name, '.') + 1);
        sd_bus_message *m;

        (void) parameters;
        OOM_CHECK(member);
        return add_step(p, member, &m);
}

static int prepare_kill(Passage *p, const json_t *parameters)
{
        const json_t *number = json_object_get(parameters, "signal");
        sd_bus_message *m;
        const char *whom;
        int r;

        r = take_string(p, parameters, "whom", "all", &whom);
        if (r >= 0 && (!json_is_integer(number) || json_integer_value(number) < 1 ||
                       json_integer_value(number) > SIGRTMAX)) {
                p->wrong = "signal";
                r = -EINVAL;
        }
        if (r >= 0 && !streq(whom, "leader") && !streq(whom, "all")) {
                p->wrong = "whom";
                r = -EINVAL;
        }
        if (r >= 0)
                r = add_step(p, "KillMachine", &m);
        return r < 0 ? r : sd_bus_message_append(m, "si", whom, (int32_t) json_integer_value(number));
}

static int append_text(sd_bus_message *m, const char *key, const char *value)
{
        return isempty(value) ? 0 : sd_bus_message_append(m, "(sv)", key, "s", value);
}

static int append_machine_id(sd_bus_message *m, const char *uuid)
{
        int r = sd_bus_message_open_container(m, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Id");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ay");
        if (r >= 0)
                r = machine1_append_id(m, uuid);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_interfaces(sd_bus_message *m, const Machine *machine)
{
        int r = sd_bus_message_open_container(m, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "NetworkInterfaces");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ai");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'i', machine->interfaces,
                                                machine->n_interfaces * sizeof(int));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int prepare_creation(Passage *p, const Machine *machine)
{
        sd_bus_message *m;
        int r;

        r = add_step(p, "CreateMachineEx", &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)", "LeaderPID", "u", (uint32_t) machine->record.leader,
                                          "VSockCID", "u", machine->vsock_cid);
        if (r >= 0)
                r = append_machine_id(m, machine->record.uuid);
        if (r >= 0)
                r = append_interfaces(m, machine);
        if (r >= 0)
                r = append_text(m, "Class", machine->class);
        if (r >= 0)
                r = append_text(m, "Service", machine->service);
        if (r >= 0)
                r = append_text(m, "RootDirectory", machine->record.root);
        if (r >= 0)
                r = append_text(m, "SSHAddress", machine->ssh_address);
        if (r >= 0)
                r = append_text(m, "SSHPrivateKeyPath", machine->ssh_key);
        if (r >= 0)
                r = append_text(m, "ControlAddress", machine->control_address);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_append(m, "a(sv)", 0);
}

static int prepare_open(Passage *p, const json_t *parameters)
{
        _cleanup_strv_ Strv args = NULL, environment = NULL;
        const char *mode, *user, *path;
        sd_bus_message *m;
        int r;

        r = take_string(p, parameters, "mode", NULL, &mode);
        if (r >= 0 && streq(mode, "tty"))
                return add_step(p, "OpenMachinePTY", &m);
        if (r >= 0 && streq(mode, "login"))
                return add_step(p, "OpenMachineLogin", &m);
        if (r >= 0 && !streq(mode, "shell")) {
                p->wrong = "mode";
                return -EINVAL;
        }
        if (r >= 0)
                r = take_string(p, parameters, "user", "", &user);
        if (r >= 0)
                r = take_string(p, parameters, "path", "", &path);
        if (r >= 0)
                r = take_strings(p, parameters, "args", &args);
        if (r >= 0)
                r = take_strings(p, parameters, "environment", &environment);
        if (r >= 0)
                r = add_step(p, "OpenMachineShell", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", user, path);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, args);
        return r < 0 ? r : sd_bus_message_append_strv(m, environment);
}

static int answer_open(Passage *p, sd_bus_message *reply, json_t **ret, int *ret_fd)
{
        const char *path;
        int fd, r = sd_bus_message_read(reply, "hs", &fd, &path);

        (void) p;
        if (r < 0)
                return r;
        *ret_fd = RET_NERRNO(fcntl(fd, F_DUPFD_CLOEXEC, 3));
        *ret = json_pack("{si ss}", "ptyFileDescriptor", 0, "ptyPath", path);
        return MIN(*ret_fd, 0);
}

static int prepare_bind(Passage *p, const json_t *parameters)
{
        const char *source, *destination;
        int read_only, make, r;
        sd_bus_message *m;

        r = take_string(p, parameters, "source", NULL, &source);
        if (r >= 0)
                r = take_string(p, parameters, "destination", "", &destination);
        if (r >= 0)
                r = take_flag(p, parameters, "readOnly", &read_only);
        if (r >= 0)
                r = take_flag(p, parameters, "mkdir", &make);
        if (r >= 0)
                r = add_step(p, "BindMountMachine", &m);
        return r < 0 ? r : sd_bus_message_append(m, "ssbb", source, destination, read_only, make);
}

static int prepare_copy(Passage *p, const json_t *parameters)
{
        const char *source, *destination;
        sd_bus_message *m;
        int replace, r;

        r = take_string(p, parameters, "source", NULL, &source);
        if (r >= 0)
                r = take_string(p, parameters, "destination", "", &destination);
        if (r >= 0)
                r = take_flag(p, parameters, "replace", &replace);
        if (r >= 0)
                r = add_step(p,
                             streq(p->door->name, MACHINE "CopyTo") ? "CopyToMachineWithFlags"
                                                                    : "CopyFromMachineWithFlags",
                             &m);
        return r < 0 ? r : sd_bus_message_append(m, "sst", source, destination, (uint64_t) replace);
}

static int prepare_root(Passage *p, const json_t *parameters)
{
        sd_bus_message *m;

        (void) parameters;
        return add_step(p, "OpenMachineRootDirectory", &m);
}

static int answer_root(Passage *p, sd_bus_message *reply, json_t **ret, int *ret_fd)
{
        int fd, r = sd_bus_message_read(reply, "h", &fd);

        (void) p;
        if (r < 0)
                return r;
        *ret_fd = RET_NERRNO(fcntl(fd, F_DUPFD_CLOEXEC, 3));
        *ret = json_pack("{si}", "fileDescriptor", 0);
        return MIN(*ret_fd, 0);
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static int prepare_clone(Passage *p, const json_t *parameters)
{
        const char *new_name;
        sd_bus_message *m;
        int read_only, r;

        r = take_string(p, parameters, "newName", NULL, &new_name);
        if (r >= 0)
                r = take_flag(p, parameters, "readOnly", &read_only);
        if (r >= 0)
                r = add_step(p, "CloneImage", &m);
        return r < 0 ? r : sd_bus_message_append(m, "sb", new_name, read_only);
}

static int prepare_remove(Passage *p, const json_t *parameters)
{
        sd_bus_message *m;

        (void) parameters;
        return add_step(p, "RemoveImage", &m);
}

/* The new name comes last: what is done before goes by the old one. */
static int prepare_update(Passage *p, const json_t *parameters)
{
        const json_t *limit = json_object_get(parameters, "limit");
        const char *new_name;
        sd_bus_message *m;
        int read_only, r;

        r = take_string(p, parameters, "newName", "", &new_name);
        if (r >= 0)
                r = take_flag(p, parameters, "readOnly", &read_only);
        if (r >= 0 && limit && !json_is_null(limit) && !json_is_integer(limit)) {
                p->wrong = "limit";
                r = -EINVAL;
        }
        if (r >= 0 && json_is_boolean(json_object_get(parameters, "readOnly"))) {
                r = add_step(p, "MarkImageReadOnly", &m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "b", read_only);
        }
        if (r >= 0 && json_is_integer(limit)) {
                r = add_step(p, "SetImageLimit", &m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "t", (uint64_t) json_integer_value(limit));
        }
        if (r >= 0 && !isempty(new_name)) {
                r = add_step(p, "RenameImage", &m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", new_name);
        }
        return r;
}

static int prepare_pool_limit(Passage *p, const json_t *parameters)
{
        const json_t *limit = json_object_get(parameters, "limit");
        sd_bus_message *m;
        int r;

        if (!json_is_integer(limit)) {
                p->wrong = "limit";
                return -EINVAL;
        }
        r = add_step(p, "SetPoolLimit", &m);
        return r < 0 ? r : sd_bus_message_append(m, "t", (uint64_t) json_integer_value(limit));
}

static int prepare_clean(Passage *p, const json_t *parameters)
{
        const char *mode;
        sd_bus_message *m;
        int r;

        r = take_string(p, parameters, "mode", NULL, &mode);
        if (r >= 0)
                r = add_step(p, "CleanPool", &m);
        return r < 0 ? r : sd_bus_message_append(m, "s", mode);
}

static int answer_clean(Passage *p, sd_bus_message *reply, json_t **ret, int *ret_fd)
{
        const char *name;
        uint64_t size;
        int r;

        (void) ret_fd;
        r = sd_bus_message_enter_container(reply, 'a', "(st)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(st)", &name, &size)) > 0) {
                if (*ret)
                        varlink_continue(p->call, *ret);
                *ret = json_pack("{ss}", "name", name);
        }
        return r;
}

/* --- the way ------------------------------------------------------------------------------------------------------ */

#define ACTION(name) "org.freedesktop.machine1." name

static const Door doors[] = {
        { MACHINE "Register" },
        { MACHINE "Terminate", ACTION("manage-machines"), "terminate", prepare_plain },
        { MACHINE "Kill", ACTION("manage-machines"), "kill", prepare_kill },
        { MACHINE "Unregister", ACTION("manage-machines"), "unregister", prepare_plain },
        { INSTANCE "Terminate", ACTION("manage-machines"), "terminate", prepare_plain },
        { INSTANCE "PowerOff", ACTION("manage-machines"), "power-off", prepare_plain },
        { INSTANCE "Reboot", ACTION("manage-machines"), "reboot", prepare_plain },
        { INSTANCE "Pause", ACTION("manage-machines"), "pause", prepare_plain },
        { INSTANCE "Resume", ACTION("manage-machines"), "resume", prepare_plain },
        { MACHINE "Open", ACTION("manage-machines"), "open", prepare_open, answer_open },
        { MACHINE "BindMount", ACTION("manage-machines"), "bind", prepare_bind },
        { MACHINE "CopyFrom", ACTION("manage-machines"), "copy", prepare_copy },
        { MACHINE "CopyTo", ACTION("manage-machines"), "copy", prepare_copy },
        { MACHINE "OpenRootDirectory", ACTION("manage-machines"), "open_root_directory", prepare_root,
          answer_root },
        { IMAGE "Clone", ACTION("manage-images"), "clone", prepare_clone },
        { IMAGE "Remove", ACTION("manage-images"), "remove", prepare_remove },
        { IMAGE "Update", ACTION("manage-images"), "update", prepare_update },
        { IMAGE "SetPoolLimit", ACTION("manage-machines"), "set_pool_limit", prepare_pool_limit },
        { IMAGE "CleanPool", ACTION("manage-machines"), "clean_pool", prepare_clean, answer_clean },
};

static const Door *find_door(const char *name)
{
        size_t i = 0;

        while (i + 1 < ELEMENTSOF(doors) && !streq(doors[i].name, name))
                i++;
        assert(streq(doors[i].name, name)); /* as the tables of methods have them */
        return doors + i;
}

static const char *error_name(const Door *door, const sd_bus_error *e)
{
        static const struct {
                const char *bus, *machine, *image;
        } names[] = {
                { "org.freedesktop.machine1.NoSuchMachine", MACHINE "NoSuchMachine", NULL },
                { "org.freedesktop.machine1.MachineExists", MACHINE "MachineExists", NULL },
                { "org.freedesktop.machine1.NoSuchImage", NULL, IMAGE "NoSuchImage" },
                { SD_BUS_ERROR_NOT_SUPPORTED, MACHINE "NotSupported", IMAGE "NotSupported" },
                { SD_BUS_ERROR_LIMITS_EXCEEDED, MACHINE "NotAvailable", IMAGE "TooManyOperations" },
        };
        bool image = startswith(door->name, IMAGE);

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(e, names[i].bus) && (image ? names[i].image : names[i].machine))
                        return image ? names[i].image : names[i].machine;
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED) ||
            sd_bus_error_has_name(e, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
                return "org.varlink.service.PermissionDenied";
        return "io.systemd.System";
}

static void finish(Passage *p, const char *error, json_t *parameters, int fd)
{
        varlink_finish(TAKE_PTR(p->call), error, parameters, fd);
}

static int on_step(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);

/* The next call, or the answer. Takes the passage over. */
static int go_on(Passage *passage, sd_bus_message *reply)
{
        _cleanup_(passage_free_cleanup) Passage *p = passage;
        json_t *answer = NULL;
        int fd = -EBADF, r = 0;

        if (p->step < p->n_steps) {
                r = sd_bus_call_async(p->registry->bus, NULL, p->steps[p->step++], on_step, p, UINT64_MAX);
                if (r < 0)
                        return 0;
                p->registry->n_pending++;
                TAKE_PTR(p);
                return 0;
        }
        if (p->door->answer && reply)
                r = p->door->answer(p, reply, &answer, &fd);
        if (r >= 0)
                finish(p, NULL, answer, fd);
        return 0;
}

static int on_step(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        Passage *p = userdata;

        (void) ret_error;
        p->registry->n_pending--;
        registry_touch(p->registry);
        if (e) {
                _cleanup_(passage_free_cleanup) Passage *ended = p;
                finish(ended, error_name(p->door, e),
                       json_pack("{ss* si}", "message", e->message, "errno", sd_bus_error_get_errno(e)),
                       -EBADF);
                return 0;
        }
        return go_on(p, reply);
}

static void on_told(void *userdata, int verdict)
{
        _cleanup_(passage_free_cleanup) Passage *p = userdata;

        if (verdict < 0)
                finish(p, "org.varlink.service.PermissionDenied", NULL, -EBADF);
        else
                (void) go_on(TAKE_PTR(p), NULL);
}

/* For `machine`, one that is to be made. */
static int enter(VarlinkConnection *c, const json_t *parameters, Registry *registry, const char *target,
                 const Machine *machine)
{
        _cleanup_(passage_free_cleanup) Passage *p = calloc(1, sizeof(Passage));
        int r;

        OOM_CHECK(p);
        p->registry = registry;
        p->door = find_door(varlink_method(c));
        r = free_and_strdup(&p->target, target);
        if (r >= 0)
                r = machine ? prepare_creation(p, machine) : p->door->prepare(p, parameters);
        if (r == -EINVAL && p->wrong)
                return varlink_invalid(c, p->wrong);
        if (r < 0)
                return r;
        p->call = varlink_defer(c);
        OOM_CHECK(p->call);
        if (varlink_peer(c) == 0) {
                on_told(TAKE_PTR(p), 0);
                return 0;
        }
        r = polkit_ask(registry, varlink_peer_process(c), varlink_peer_start_time(c), varlink_peer(c),
                       p->door->action, strna(p->target), p->door->verb, on_told, p);
        if (r >= 0)
                TAKE_PTR(p);
        return 0;
}

int door_to_machine(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *machine)
{
        return enter(c, parameters, registry, machine->name, NULL);
}

int door_to_new_machine(VarlinkConnection *c, Registry *registry, const Machine *machine)
{
        assert(varlink_peer(c) == 0); /* what it is asked for is judged as root's */
        return enter(c, NULL, registry, machine->name, machine);
}

int door_to_image(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const json_t *name = json_object_get(parameters, "name");
        bool of_pool = endswith(varlink_method(c), "Pool") || endswith(varlink_method(c), "PoolLimit");

        registry_touch(userdata);
        if (!of_pool && !json_is_string(name))
                return varlink_invalid(c, "name");
        if (endswith(varlink_method(c), "CleanPool") && !more)
                return varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
        return enter(c, parameters, userdata, of_pool ? NULL : json_string_value(name), NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/machine-varlink.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "api/door.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "manager/foreign.h"
#include "manager/machine-control.h"
#include "manager/machine-files.h"
#include "manager/machine-inspect.h"
#include "manager/session.h"
#include "state/leader.h"

#define MACHINE    "io.systemd.Machine."
#define IMAGE      "io.systemd.MachineImage."
#define SERVICE    "io.systemd.Machine"
#define SOCKET_DIR "/run/systemd/machine"

/* --- what is known of machines ------------------------------------------------------------------------- */

static json_t *describe(const Machine *m)
{
        json_t *cid = m->vsock_cid == UINT32_MAX ? NULL : json_integer(m->vsock_cid);

        return json_pack("{ss ss* ss ss s{sI} ss* ss s{sI sI} so* ss* ss* ss* sI}", "name", m->name, "id",
                         m->record.uuid[0] ? m->record.uuid : NULL, "service", m->service, "class", m->class,
                         "leader", "pid", (json_int_t) m->record.leader, "rootDirectory", m->record.root,
                         "unit", m->unit, "timestamp", "realtime", (json_int_t) m->record.since, "monotonic",
                         (json_int_t) m->since_monotonic, "vSockCid", cid, "sshAddress", m->ssh_address,
                         "sshPrivateKeyPath", m->ssh_key, "controlAddress", m->control_address, "UID",
                         (json_int_t) m->owner);
}

/* Reads a number, or the member "pid" of an object. If the parameter is missing, ret does not change. */
static int take_process(const json_t *value, pid_t *ret)
{
        const json_t *number = json_is_object(value) ? json_object_get(value, "pid") : value;

        if (!value || json_is_null(value))
                return 0;
        if (!json_is_integer(number) || json_integer_value(number) <= 0 ||
            json_integer_value(number) > INT32_MAX)
                return -EINVAL;
        *ret = json_integer_value(number);
        return 0;
}

typedef enum Lookup {
        LOOKUP_ANSWERED, /* the call has been answered with an error, or will be answered */
        LOOKUP_FOUND,
        LOOKUP_ALL, /* the call names neither a machine nor a process */
} Lookup;

/* Finds the machine that a call is about, by its name or by a process in it. An unknown machine may just
 * have started, so the manager first refreshes. */
static int look_up(VarlinkConnection *c, const json_t *parameters, Manager *manager, Machine **ret)
{
        const json_t *name = json_object_get(parameters, "name");
        pid_t pid = 0;
        int r = 0;

        if (name && !json_is_null(name) && !json_is_string(name))
                r = varlink_invalid(c, "name");
        else if (take_process(json_object_get(parameters, "pid"), &pid) < 0)
                r = varlink_invalid(c, "pid");
        else if (json_is_string(name) || pid > 0) {
                *ret = json_is_string(name) ? manager_find_registered(manager, json_string_value(name))
                                            : machine_of_process(manager, pid);
                if (*ret)
                        return LOOKUP_FOUND;
                if (door_hold(c, manager) < 0)
                        r = varlink_error(c, MACHINE "NoSuchMachine", NULL);
        } else if (door_hold(c, manager) < 0)
                return LOOKUP_ALL;
        return r < 0 ? r : LOOKUP_ANSWERED;
}

static int list(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        Manager *manager = userdata;
        const Machine *previous = NULL;
        Machine *m;
        int r;

        manager_touch(manager);
        r = look_up(c, parameters, manager, &m);
        if (r < 0 || r == LOOKUP_ANSWERED)
                return r;
        if (r == LOOKUP_FOUND)
                return varlink_reply(c, describe(m), false);
        if (!more)
                return varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
        for (size_t i = 0; i < manager->n_machines && r >= 0; i++) {
                if (!manager->machines[i]->published)
                        continue;
                if (previous)
                        r = varlink_reply(c, describe(previous), true);
                previous = manager->machines[i];
        }
        if (r < 0)
                return r;
        return previous ? varlink_reply(c, describe(previous), false)
                        : varlink_error(c, MACHINE "NoSuchMachine", NULL);
}

/* Converts an ID of a machine to that of the host, by the parameter "uid" or "gid". With a NULL `machine`,
 * converts an ID of the host. */
static int map_one(VarlinkConnection *c, const json_t *parameters, const char *key, Manager *manager,
                   const Machine *machine, json_t *answer)
{
        const json_t *id = json_object_get(parameters, key);
        const char *missing = key[0] == 'u' ? MACHINE "NoSuchUser" : MACHINE "NoSuchGroup";
        uint32_t other = 0;

        if (!id || json_is_null(id))
                return 1;
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > UINT32_MAX)
                return varlink_invalid(c, key);
        uint32_t number = json_integer_value(id);
        if (machine) {
                _cleanup_close_ int proc_fd = machine_open(machine);
                if (proc_fd < 0 || leader_id_to_host(proc_fd, key[0] == 'g', number, &other) < 0)
                        return varlink_error(c, missing, NULL);
        } else {
                if (number < MACHINE_HOST_IDS)
                        return varlink_error(
                                c, key[0] == 'u' ? MACHINE "UserInHostRange" : MACHINE "GroupInHostRange",
                                NULL);
                machine = machine_of_user(manager, key[0] == 'g', number, &other);
                if (!machine)
                        return varlink_error(c, missing, NULL);
                json_object_set_new(answer, "machineName", json_string(machine->name));
        }
        json_object_set_new(answer, key, json_integer(other));
        return 1;
}

static int map(VarlinkConnection *c, const json_t *parameters, Manager *manager, Machine *m)
{
        json_t *answer = json_object();
        int r;

        /* Returns 0 if an error has been sent: the connection goes on. */
        r = map_one(c, parameters, "uid", manager, m, answer);
        if (r > 0)
                r = map_one(c, parameters, "gid", manager, m, answer);
        if (r > 0)
                return varlink_reply(c, answer, false);
        json_decref(answer);
        return r;
}

static int map_from(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        Machine *m;
        int r;

        (void) more;
        manager_touch(userdata);
        r = look_up(c, parameters, userdata, &m);
        return r < 0 || r == LOOKUP_ANSWERED ? r
               : r == LOOKUP_FOUND           ? map(c, parameters, userdata, m)
                                             : varlink_invalid(c, "name");
}

static int map_to(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        manager_touch(userdata);
        return map(c, parameters, userdata, NULL);
}

/* --- what is done to machines -------------------------------------------------------------------------- */

static int read_kill(const json_t *parameters, void *arguments, const char **ret_wrong)
{
        const KillArguments *a = arguments;

        (void) parameters;
        *ret_wrong = a->signal < 1 || a->signal > SIGRTMAX ? "signal" : "whom";
        return a->signal >= 1 && a->signal <= SIGRTMAX &&
                               (isempty(a->whom) || streq(a->whom, "leader") || streq(a->whom, "all"))
                       ? 0
                       : -EINVAL;
}

/* In varlink, each flag is a parameter. */
static int read_copy(const json_t *parameters, void *arguments, const char **ret_wrong)
{
        const json_t *replace = json_object_get(parameters, "replace");
        CopyArguments *a = arguments;

        *ret_wrong = "replace";
        if (replace && !json_is_null(replace) && !json_is_boolean(replace))
                return -EINVAL;
        a->flags = json_is_true(replace) ? COPY_REPLACE : 0;
        return 0;
}

static void finish_with_fd(VarlinkCall *waiting, json_t *parameters, int fd)
{
        int copy = RET_NERRNO(fcntl(fd, F_DUPFD_CLOEXEC, 3));

        if (copy < 0) {
                json_decref(parameters);
                varlink_finish(waiting, "io.systemd.System", json_pack("{si}", "errno", -copy), -EBADF);
        } else
                varlink_finish(waiting, NULL, parameters, copy);
}

static void answer_terminal(VarlinkCall *waiting, const Call *call, const void *answer)
{
        const TerminalAnswer *terminal = answer;

        (void) call;
        finish_with_fd(waiting, json_pack("{si ss}", "ptyFileDescriptor", 0, "ptyPath", terminal->path),
                       terminal->fd);
}

static void answer_file(VarlinkCall *waiting, const Call *call, const void *answer)
{
        const FileAnswer *file = answer;

        (void) call;
        finish_with_fd(waiting, json_pack("{si}", "fileDescriptor", 0), file->fd);
}

static const DoorMethod changes[] = {
        { MACHINE "Terminate", &operation_terminate },
        { MACHINE "Kill", &operation_kill, "signal", read_kill },
        { MACHINE "Unregister", &operation_unregister },
        { MACHINE "BindMount", &operation_bind, "source" },
        { MACHINE "CopyFrom", &operation_copy_from, "source", read_copy },
        { MACHINE "CopyTo", &operation_copy_to, "source", read_copy },
        { MACHINE "OpenRootDirectory", &operation_open_root, .answered = answer_file },
        {},
};

/* The operations, by the mode of Open(). */
static const struct {
        const char *mode;
        DoorMethod method;
} modes[] = {
        { "tty", { MACHINE "Open", &operation_open_pty, .answered = answer_terminal } },
        { "login", { MACHINE "Open", &operation_open_login, .answered = answer_terminal } },
        { "shell", { MACHINE "Open", &operation_open_shell, .answered = answer_terminal } },
};

static const DoorMethod *find_mode(const json_t *parameters)
{
        const char *mode = json_string_value(json_object_get(parameters, "mode"));

        for (size_t i = 0; i < ELEMENTSOF(modes) && mode; i++)
                if (streq(modes[i].mode, mode))
                        return &modes[i].method;
        return NULL;
}

/* The manager finds a machine by its name. For a call that names a process, the name is found here. */
static int enter(VarlinkConnection *c, const json_t *parameters, Manager *manager, const DoorMethod *method)
{
        const char *name = json_string_value(json_object_get(parameters, "name"));
        Machine *m;
        int r;

        if (name)
                return door_call(c, manager, method, parameters, name);
        r = look_up(c, parameters, manager, &m);
        return r < 0 || r == LOOKUP_ANSWERED ? r
               : r == LOOKUP_FOUND           ? door_call(c, manager, method, parameters, m->name)
                                             : varlink_invalid(c, "name");
}

static int change(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        manager_touch(userdata);
        return enter(c, parameters, userdata, door_find(changes, c));
}

static int open_terminal(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const DoorMethod *mode = find_mode(parameters);

        (void) more;
        manager_touch(userdata);
        return mode ? enter(c, parameters, userdata, mode) : varlink_invalid(c, "mode");
}

static const DoorMethod register_method = { MACHINE "Register", &operation_register },
                        create_method = { MACHINE "Register", &operation_create };

/* The machine is in the unit of its leader, or in a new scope. The call names the leader in one of two ways.
 */
static int add(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        pid_t leader = 0;
        int r;

        (void) more;
        if (take_process(json_object_get(parameters, "leader"), &leader) < 0 ||
            take_process(json_object_get(parameters, "leaderProcessId"), &leader) < 0)
                return varlink_invalid(c, "leader");
        json_t *said = json_copy((json_t *) parameters);
        json_object_set_new(said, "leader", json_integer(leader));
        r = door_call(c, userdata,
                      json_is_true(json_object_get(parameters, "allocateUnit")) ? &create_method
                                                                                : &register_method,
                      said, NULL);
        json_decref(said);
        return r;
}

/* --- the servers --------------------------------------------------------------------------------------- */

static const VarlinkMethod machine_methods[] = {
        { MACHINE "List", list },
        { MACHINE "Register", add },
        { MACHINE "MapFrom", map_from },
        { MACHINE "MapTo", map_to },
        { MACHINE "Terminate", change },
        { MACHINE "Kill", change },
        { MACHINE "Unregister", change },
        { MACHINE "Open", open_terminal },
        { MACHINE "BindMount", change },
        { MACHINE "CopyFrom", change },
        { MACHINE "CopyTo", change },
        { MACHINE "OpenRootDirectory", change },
        { IMAGE "List", image_varlink_list },
        { IMAGE "Update", image_varlink_change },
        { IMAGE "Clone", image_varlink_change },
        { IMAGE "Remove", image_varlink_change },
        { IMAGE "SetPoolLimit", image_varlink_change },
        { IMAGE "CleanPool", image_varlink_change },
        {},
};

int machine_varlink_open(MachineVarlink *varlink, Manager *manager)
{
        int r;

        r = varlink_new(manager->event, userdb_methods, manager, &varlink->users);
        if (r >= 0)
                r = varlink_listen(varlink->users, "/run/systemd/userdb/" SERVICE);
        if (r >= 0)
                r = varlink_new(manager->event, machine_methods, manager, &varlink->machines);
        if (r >= 0)
                r = varlink_listen(varlink->machines, SOCKET_DIR "/" SERVICE);
        /* One socket serves both interfaces. */
        (void) unlink(SOCKET_DIR "/io.systemd.MachineImage");
        if (r >= 0 && symlink(SERVICE, SOCKET_DIR "/io.systemd.MachineImage") < 0)
                r = -errno;
        return r < 0 ? log_error_errno(r, "Failed to listen for varlink clients") : 0;
}

void machine_varlink_close(MachineVarlink *varlink)
{
        varlink_free(varlink->users);
        varlink_free(varlink->machines);
}

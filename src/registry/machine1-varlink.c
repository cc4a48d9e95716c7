/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What newer clients ask over varlink where we are the provider: io.systemd.Machine, and the users of machines in
 * io.systemd.UserDatabase ("vu-NAME-UID"), which nss-systemd and userdbctl read. */

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "registry/doors.h"
#include "registry/inspect.h"
#include "registry/machine1.h"
#include "registry/varlink.h"

#define USERDB         "io.systemd.UserDatabase."
#define MACHINE        "io.systemd.Machine."
#define IMAGE          "io.systemd.MachineImage."
#define USERDB_SERVICE "io.systemd.Machine"

/* --- users of machines -------------------------------------------------------------------------------------------- */

/* "vu-NAME-UID", or with "vg-" a group; the name may have dashes, too. */
static const Machine *machine_of_name(Registry *registry, const char *user, const char *prefix,
                                      uint32_t *ret_outer, uint32_t *ret_inner)
{
        const char *rest = startswith(user, prefix), *dash = rest ? strrchr(rest, '-') : NULL;
        _cleanup_free_ char *name = dash ? strndup(rest, dash - rest) : NULL;
        const Machine *m = name ? machine1_find(registry, name) : NULL;
        uint64_t number;

        _cleanup_close_ int proc_fd = m ? machine_open(m) : -EBADF;
        if (proc_fd < 0 || parse_u64(dash + 1, 0, UINT32_MAX, &number) < 0 ||
            leader_id_to_host(proc_fd, prefix[1] == 'g', number, ret_outer) < 0 ||
            *ret_outer < MACHINE1_HOST_IDS || *ret_outer == number)
                return NULL;
        *ret_inner = number;
        return m;
}

static json_t *make_record(bool group, const char *machine, uint32_t outer, uint32_t inner)
{
        _cleanup_free_ char *name = strf("v%c-%s-%u", group ? 'g' : 'u', machine, inner);
        _cleanup_free_ char *text = strf("%s %u of machine %s", group ? "Group" : "User", inner, machine);

        return group ? json_pack("{ss sI ss ss ss}", "groupName", name, "gid", (json_int_t) outer,
                                 "description", text, "service", USERDB_SERVICE, "disposition", "container")
                     : json_pack("{ss sI sI ss ss ss sb ss ss}", "userName", name, "uid", (json_int_t) outer,
                                 "gid", (json_int_t) 65534, "realName", text, "homeDirectory", "/", "shell",
                                 "/usr/sbin/nologin", "locked", 1, "service", USERDB_SERVICE, "disposition",
                                 "container");
}

static int get_record(VarlinkConnection *c, const json_t *parameters, bool group, Registry *registry)
{
        const char *name = json_string_value(json_object_get(parameters, group ? "groupName" : "userName"));
        const char *service = json_string_value(json_object_get(parameters, "service"));
        const json_t *id = json_object_get(parameters, group ? "gid" : "uid");
        const Machine *m;
        uint32_t inner = 0, outer = 0;

        registry_touch(registry);
        if (!service)
                return varlink_invalid(c, "service");
        if (!streq(service, USERDB_SERVICE))
                return varlink_error(c, USERDB "BadService", NULL);
        if (id && !json_is_null(id) && (!json_is_integer(id) || json_integer_value(id) < 0))
                return varlink_invalid(c, group ? "gid" : "uid");
        if (json_is_integer(id)) {
                outer = MIN(json_integer_value(id), (json_int_t) UINT32_MAX);
                m = machine1_find_user(registry, group, outer, &inner);
        } else if (name)
                m = machine_of_name(registry, name, group ? "vg-" : "vu-", &outer, &inner);
        else
                return varlink_error(c, USERDB "EnumerationNotSupported", NULL);
        if (!m)
                return varlink_error(c, USERDB "NoRecordFound", NULL);

        json_t *record = make_record(group, m->name, outer, inner);
        const char *found = json_string_value(json_object_get(record, group ? "groupName" : "userName"));
        if (name && !streq_ptr(found, name)) {
                json_decref(record);
                return varlink_error(c, USERDB "ConflictingRecordFound", NULL);
        }
        return varlink_reply(c, json_pack("{so sb}", "record", record, "incomplete", 0), false);
}

static int get_user(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        return get_record(c, parameters, false, userdata);
}

static int get_group(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        return get_record(c, parameters, true, userdata);
}

static int get_memberships(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const char *service = json_string_value(json_object_get(parameters, "service"));

        (void) more;
        (void) userdata;
        return streq_ptr(service, USERDB_SERVICE) ? varlink_error(c, USERDB "NoRecordFound", NULL)
                                                  : varlink_error(c, USERDB "BadService", NULL);
}

static const VarlinkMethod userdb_methods[] = {
        { USERDB "GetUserRecord", get_user },
        { USERDB "GetGroupRecord", get_group },
        { USERDB "GetMemberships", get_memberships },
        {},
};

/* --- machines ----------------------------------------------------------------------------------------------------- */

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

/* A number, or an object that has it as "pid"; where neither is there, ret stays. */
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
        LOOKUP_ANSWERED, /* with an error, or it will be */
        LOOKUP_FOUND,
        LOOKUP_ALL, /* nothing was said */
} Lookup;

/* By its name or by a process of it. One that we do not know may have begun just now: so systemd is asked first. */
static int look_up(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine **ret)
{
        const json_t *name = json_object_get(parameters, "name");
        pid_t pid = 0;
        int r = 0;

        if (name && !json_is_null(name) && !json_is_string(name))
                r = varlink_invalid(c, "name");
        else if (take_process(json_object_get(parameters, "pid"), &pid) < 0)
                r = varlink_invalid(c, "pid");
        else if (json_is_string(name) || pid > 0) {
                *ret = json_is_string(name) ? machine1_find(registry, json_string_value(name))
                                            : machine1_find_process(registry, pid);
                if (*ret)
                        return LOOKUP_FOUND;
                if (varlink_was_held(c) || registry_hold(registry, c) < 0)
                        r = varlink_error(c, MACHINE "NoSuchMachine", NULL);
        } else if (varlink_was_held(c) || registry_hold(registry, c) < 0)
                return LOOKUP_ALL;
        return r < 0 ? r : LOOKUP_ANSWERED;
}

static int list(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        Registry *registry = userdata;
        const Machine *previous = NULL;
        Machine *m;
        int r;

        registry_touch(registry);
        r = look_up(c, parameters, registry, &m);
        if (r < 0 || r == LOOKUP_ANSWERED)
                return r;
        if (r == LOOKUP_FOUND)
                return varlink_reply(c, describe(m), false);
        if (!more)
                return varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
        for (size_t i = 0; i < registry->n_machines && r >= 0; i++) {
                if (!registry->machines[i]->published)
                        continue;
                if (previous)
                        r = varlink_reply(c, describe(previous), true);
                previous = registry->machines[i];
        }
        if (r < 0)
                return r;
        return previous ? varlink_reply(c, describe(previous), false)
                        : varlink_error(c, MACHINE "NoSuchMachine", NULL);
}

static int take_text(const json_t *parameters, const char *key, char **ret)
{
        const json_t *value = json_object_get(parameters, key);

        if (!value || json_is_null(value))
                return 0;
        return json_is_string(value) ? free_and_strdup(ret, json_string_value(value)) : -EINVAL;
}

static int take_machine(const json_t *parameters, Machine *m)
{
        const json_t *interfaces = json_object_get(parameters, "ifIndices"), *index, *cid;
        _cleanup_free_ char *id = NULL;
        uint8_t bytes[16];
        size_t i;
        int r;

        r = take_text(parameters, "name", &m->name);
        if (r >= 0)
                r = take_text(parameters, "class", &m->class);
        if (r >= 0)
                r = take_text(parameters, "service", &m->service);
        if (r >= 0)
                r = take_text(parameters, "rootDirectory", &m->record.root);
        if (r >= 0)
                r = take_text(parameters, "sshAddress", &m->ssh_address);
        if (r >= 0)
                r = take_text(parameters, "sshPrivateKeyPath", &m->ssh_key);
        if (r >= 0)
                r = take_text(parameters, "controlAddress", &m->control_address);
        if (r >= 0)
                r = take_text(parameters, "id", &id);
        if (r >= 0 && id)
                r = parse_id128(id, bytes);
        if (r >= 0 && id)
                r = foreign_set_id(m, bytes, sizeof(bytes));
        if (r >= 0)
                r = take_process(json_object_get(parameters, "leader"), &m->record.leader);
        if (r >= 0)
                r = take_process(json_object_get(parameters, "leaderProcessId"), &m->record.leader);
        cid = json_object_get(parameters, "vSockCid");
        if (r >= 0 && cid && !json_is_null(cid)) {
                r = json_is_integer(cid) && json_integer_value(cid) >= 0 &&
                                    json_integer_value(cid) < UINT32_MAX
                            ? 0
                            : -EINVAL;
                m->vsock_cid = json_integer_value(cid);
        }
        json_array_foreach (interfaces, i, index)
                if (r >= 0)
                        r = foreign_add_interface(m, json_integer_value(index));
        return r;
}

/* It is in the unit that its leader is in, or in one that is made for it. */
static int add(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(userdata);
        const char *mistake = NULL;
        int r;

        (void) more;
        registry_touch(userdata);
        OOM_CHECK(m);
        if (varlink_peer(c) != 0)
                return varlink_error(c, "org.varlink.service.PermissionDenied", NULL);
        m->record.leader = varlink_peer_process(c);
        r = take_machine(parameters, m);
        if (r == -EINVAL)
                return varlink_invalid(c, "name");
        if (r >= 0)
                r = foreign_judge(userdata, m, &mistake);
        if (r == -EINVAL)
                return varlink_invalid(c, strna(mistake));
        if (r == -EEXIST)
                return varlink_error(c, MACHINE "MachineExists", NULL);
        if (r >= 0 && json_is_true(json_object_get(parameters, "allocateUnit")))
                return door_to_new_machine(c, userdata, m);
        if (r >= 0)
                r = foreign_find_unit(userdata, m);
        if (r >= 0)
                r = foreign_add(userdata, m);
        if (r < 0)
                return varlink_error(c, MACHINE "NotAvailable", NULL);
        TAKE_PTR(m);
        return varlink_reply(c, NULL, false);
}

/* An id of a machine as the host numbers it, by the parameter "uid" or "gid"; with `machine` NULL the other way. */
static int map_one(VarlinkConnection *c, const json_t *parameters, const char *key, Registry *registry,
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
                if (number < MACHINE1_HOST_IDS)
                        return varlink_error(
                                c, key[0] == 'u' ? MACHINE "UserInHostRange" : MACHINE "GroupInHostRange",
                                NULL);
                machine = machine1_find_user(registry, key[0] == 'g', number, &other);
                if (!machine)
                        return varlink_error(c, missing, NULL);
                json_object_set_new(answer, "machineName", json_string(machine->name));
        }
        json_object_set_new(answer, key, json_integer(other));
        return 1;
}

static int map(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *m)
{
        json_t *answer = json_object();
        int r;

        /* An error that was sent is no failure of ours: 0. */
        r = map_one(c, parameters, "uid", registry, m, answer);
        if (r > 0)
                r = map_one(c, parameters, "gid", registry, m, answer);
        if (r > 0)
                return varlink_reply(c, answer, false);
        json_decref(answer);
        return r;
}

/* What is about one machine; who may is for `run` to say. */
static int with_machine(VarlinkConnection *c, const json_t *parameters, Registry *registry,
                        int (*run)(VarlinkConnection *c, const json_t *parameters, Registry *registry,
                                   Machine *m))
{
        Machine *m;
        int r;

        registry_touch(registry);
        r = look_up(c, parameters, registry, &m);
        return r < 0 || r == LOOKUP_ANSWERED ? r
               : r == LOOKUP_FOUND           ? run(c, parameters, registry, m)
                                             : varlink_invalid(c, "name");
}

static int map_from(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        return with_machine(c, parameters, userdata, map);
}

static int map_to(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        registry_touch(userdata);
        return map(c, parameters, userdata, NULL);
}

static int open_door(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        (void) more;
        return with_machine(c, parameters, userdata, door_to_machine);
}

static const VarlinkMethod machine_methods[] = {
        { MACHINE "List", list },
        { MACHINE "Register", add },
        { MACHINE "MapFrom", map_from },
        { MACHINE "MapTo", map_to },
        { MACHINE "Terminate", open_door },
        { MACHINE "Kill", open_door },
        { MACHINE "Unregister", open_door },
        { MACHINE "Open", open_door },
        { MACHINE "BindMount", open_door },
        { MACHINE "CopyFrom", open_door },
        { MACHINE "CopyTo", open_door },
        { MACHINE "OpenRootDirectory", open_door },
        { IMAGE "List", machine1_varlink_list_images },
        { IMAGE "Update", door_to_image },
        { IMAGE "Clone", door_to_image },
        { IMAGE "Remove", door_to_image },
        { IMAGE "SetPoolLimit", door_to_image },
        { IMAGE "CleanPool", door_to_image },
        {},
};

int machine1_varlink_setup(Registry *registry)
{
        int r;

        r = varlink_new(registry->event, userdb_methods, registry, &registry->userdb_server);
        if (r >= 0)
                r = varlink_listen(registry->userdb_server, "/run/systemd/userdb/" USERDB_SERVICE);
        if (r >= 0)
                r = varlink_new(registry->event, machine_methods, registry, &registry->machine_server);
        if (r >= 0)
                r = varlink_listen(registry->machine_server, "/run/systemd/machine/io.systemd.Machine");
        /* Both interfaces are behind one socket. */
        (void) unlink("/run/systemd/machine/io.systemd.MachineImage");
        if (r >= 0 && symlink("io.systemd.Machine", "/run/systemd/machine/io.systemd.MachineImage") < 0)
                r = -errno;
        return r < 0 ? log_error_errno(r, "Failed to listen for varlink clients") : 0;
}

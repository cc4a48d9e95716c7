/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What newer clients ask over varlink where we are the provider: io.systemd.Machine, and the users of machines in
 * io.systemd.UserDatabase ("vu-NAME-UID"), which nss-systemd and userdbctl read. */

#include <signal.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "registry/inspect.h"
#include "registry/machine1.h"
#include "registry/varlink.h"

#define USERDB         "io.systemd.UserDatabase."
#define MACHINE        "io.systemd.Machine."
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
        uint32_t size;
        uid_t base;

        _cleanup_close_ int proc_fd = m ? machine_open(m) : -EBADF;
        if (proc_fd < 0 || leader_users(proc_fd, &base, &size) < 0 || base < MACHINE1_HOST_IDS ||
            parse_u64(dash + 1, 0, size - 1, &number) < 0)
                return NULL;
        *ret_inner = number;
        *ret_outer = base + number;
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
                m = machine1_find_user(registry, outer, &inner);
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
        return json_pack("{ss ss* ss ss s{sI} ss* ss s{sI sI} sI}", "name", m->name, "id",
                         m->record.uuid[0] ? m->record.uuid : NULL, "service", m->service, "class", m->class,
                         "leader", "pid", (json_int_t) m->record.leader, "rootDirectory", m->record.root,
                         "unit", m->unit, "timestamp", "realtime", (json_int_t) m->record.since, "monotonic",
                         (json_int_t) m->since_monotonic, "UID", (json_int_t) m->owner);
}

typedef enum Lookup {
        LOOKUP_ANSWERED, /* with an error */
        LOOKUP_FOUND,
        LOOKUP_ALL, /* nothing was said */
} Lookup;

/* By its name or by a process of it. */
static int look_up(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine **ret)
{
        const json_t *name = json_object_get(parameters, "name"), *pid = json_object_get(parameters, "pid");
        const json_t *number = json_is_object(pid) ? json_object_get(pid, "pid") : pid;
        int r = 0;

        if (name && !json_is_null(name) && !json_is_string(name))
                r = varlink_invalid(c, "name");
        else if (pid && !json_is_null(pid) &&
                 (!json_is_integer(number) || json_integer_value(number) <= 0 ||
                  json_integer_value(number) > INT32_MAX))
                r = varlink_invalid(c, "pid");
        else if (json_is_string(name) || json_is_integer(number)) {
                *ret = json_is_string(name) ? machine1_find(registry, json_string_value(name))
                                            : machine1_find_process(registry, json_integer_value(number));
                if (*ret)
                        return LOOKUP_FOUND;
                r = varlink_error(c, MACHINE "NoSuchMachine", NULL);
        } else
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

/* What is done to one machine. Root only: there is no way yet to ask polkit for somebody at this door. */
typedef int (*Act)(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *m);

static int act(VarlinkConnection *c, const json_t *parameters, Registry *registry, Act action)
{
        Machine *m;
        int r;

        registry_touch(registry);
        if (varlink_peer(c) != 0)
                return varlink_error(c, "org.varlink.service.PermissionDenied", NULL);
        r = look_up(c, parameters, registry, &m);
        return r < 0 || r == LOOKUP_ANSWERED ? r
               : r == LOOKUP_FOUND           ? action(c, parameters, registry, m)
                                             : varlink_invalid(c, "name");
}

static int reply_done(VarlinkConnection *c, int r)
{
        return r < 0 ? varlink_error(c, MACHINE "NotAvailable", NULL) : varlink_reply(c, NULL, false);
}

static int act_terminate(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *m)
{
        (void) parameters;
        return reply_done(c, machine_terminate_quietly(registry, m, NULL));
}

static int act_kill_processes(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *m)
{
        const char *whom = json_string_value(json_object_get(parameters, "whom")) ?: "all";
        const json_t *number = json_object_get(parameters, "signal");

        if (!json_is_integer(number) || json_integer_value(number) < 1 ||
            json_integer_value(number) > SIGRTMAX)
                return varlink_invalid(c, "signal");
        if (!streq(whom, "leader") && !streq(whom, "all"))
                return varlink_invalid(c, "whom");
        return reply_done(c, machine_signal(registry, m, whom, json_integer_value(number), NULL));
}

static int act_unregister(VarlinkConnection *c, const json_t *parameters, Registry *registry, Machine *m)
{
        (void) parameters;
        if (!m->foreign)
                return varlink_error(c, MACHINE "NotSupported", NULL);
        registry_remove(registry, m);
        return varlink_reply(c, NULL, false);
}

#define DEFINE_ACT(name)                                                                           \
        static int name(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata) \
        {                                                                                          \
                (void) more;                                                                       \
                return act(c, parameters, userdata, act_##name);                                   \
        }                                                                                          \
        struct _semicolon_

DEFINE_ACT(terminate);
DEFINE_ACT(kill_processes);
DEFINE_ACT(unregister);

static const VarlinkMethod machine_methods[] = {
        { MACHINE "List", list },
        { MACHINE "Terminate", terminate },
        { MACHINE "Kill", kill_processes },
        { MACHINE "Unregister", unregister },
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
        return r < 0 ? log_error_errno(r, "Failed to listen for varlink clients") : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* io.systemd.UserDatabase: users and groups of machines; see machine-varlink.h. */

#include "api/machine-varlink.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "manager/machine.h"
#include "state/leader.h"

#define USERDB         "io.systemd.UserDatabase."
#define USERDB_SERVICE "io.systemd.Machine"

/* Parses "vu-NAME-UID" or, for a group, "vg-NAME-GID". NAME may have dashes. */
static const Machine *machine_of_name(const Manager *manager, const char *user, const char *prefix,
                                      uint32_t *ret_outer, uint32_t *ret_inner)
{
        const char *rest = startswith(user, prefix), *dash = rest ? strrchr(rest, '-') : NULL;
        _cleanup_free_ char *name = dash ? strndup(rest, dash - rest) : NULL;
        const Machine *m = name ? manager_find_registered(manager, name) : NULL;
        uint64_t number;

        _cleanup_close_ int proc_fd = m ? machine_open(m) : -EBADF;
        if (proc_fd < 0 || parse_u64(dash + 1, 0, UINT32_MAX, &number) < 0 ||
            leader_id_to_host(proc_fd, prefix[1] == 'g', number, ret_outer) < 0 ||
            *ret_outer < MACHINE_HOST_IDS || *ret_outer == number)
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

static int get_record(VarlinkConnection *c, const json_t *parameters, bool group, Manager *manager)
{
        const char *name = json_string_value(json_object_get(parameters, group ? "groupName" : "userName"));
        const char *service = json_string_value(json_object_get(parameters, "service"));
        const json_t *id = json_object_get(parameters, group ? "gid" : "uid");
        const Machine *m;
        uint32_t inner = 0, outer = 0;

        manager_touch(manager);
        if (!service)
                return varlink_invalid(c, "service");
        if (!streq(service, USERDB_SERVICE))
                return varlink_error(c, USERDB "BadService", NULL);
        if (id && !json_is_null(id) && (!json_is_integer(id) || json_integer_value(id) < 0))
                return varlink_invalid(c, group ? "gid" : "uid");
        if (json_is_integer(id)) {
                outer = MIN(json_integer_value(id), (json_int_t) UINT32_MAX);
                m = machine_of_user(manager, group, outer, &inner);
        } else if (name)
                m = machine_of_name(manager, name, group ? "vg-" : "vu-", &outer, &inner);
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

const VarlinkMethod userdb_methods[] = {
        { USERDB "GetUserRecord", get_user },
        { USERDB "GetGroupRecord", get_group },
        { USERDB "GetMemberships", get_memberships },
        {},
};

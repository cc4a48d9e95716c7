/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "systemd/machined.h"

#include "basic/parse.h"

#define ERROR(name) MACHINED_NAME "." name

/* A call, and the callback for its answer. */
typedef struct Question {
        MachinedReply reply;
        MachinedKnown known;
        void *userdata;
} Question;

static MachinedResult read_result(sd_bus_message *reply)
{
        if (!sd_bus_message_is_method_error(reply, NULL))
                return MACHINED_DONE;
        if (sd_bus_message_is_method_error(reply, ERROR("NoSuchMachine")) ||
            sd_bus_message_is_method_error(reply, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return MACHINED_UNKNOWN;
        return sd_bus_message_is_method_error(reply, ERROR("MachineExists")) ? MACHINED_EXISTS
                                                                             : MACHINED_FAILED;
}

static int read_known(sd_bus_message *reply, MachinedMachine *ret)
{
        const struct {
                const char *key, *types;
                void *target;
        } fields[] = {
                { "Name", "s", &ret->name },       { "Service", "s", &ret->service },
                { "Class", "s", &ret->class },     { "Unit", "s", &ret->unit },
                { "State", "s", &ret->state },     { "RootDirectory", "s", &ret->root },
                { "Leader", "u", &ret->leader },   { "Supervisor", "u", &ret->supervisor },
                { "Timestamp", "t", &ret->since },
        };
        const char *key;
        int r;

        *ret = (MachinedMachine){
                .name = "", .service = "", .class = "", .unit = "", .root = "", .state = ""
        };
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                size_t i = 0;
                r = sd_bus_message_read(reply, "s", &key);
                if (r < 0)
                        return r;
                while (i < ELEMENTSOF(fields) && !streq(fields[i].key, key))
                        i++;
                r = i < ELEMENTSOF(fields)
                            ? sd_bus_message_read(reply, "v", fields[i].types, fields[i].target)
                            : sd_bus_message_skip(reply, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return r;
        }
        return r;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_free_ Question *q = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        MachinedResult result = read_result(reply);
        MachinedMachine machine = {};

        (void) ret_error;
        if (q->reply)
                q->reply(q->userdata, result, e ? e->message : NULL);
        else {
                if (result == MACHINED_DONE && read_known(reply, &machine) < 0)
                        result = MACHINED_FAILED;
                q->known(q->userdata, result, result == MACHINED_DONE ? &machine : NULL);
        }
        return 0;
}

static int ask(sd_bus *bus, sd_bus_message *call, const Question *question)
{
        _cleanup_free_ Question *q = malloc(sizeof(Question));
        int r;

        OOM_CHECK(q);
        *q = *question;
        r = sd_bus_call_async(bus, NULL, call, on_reply, q, 0);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 0;
}

static int begin(sd_bus *bus, const char *method, const char *name, sd_bus_message **ret)
{
        int r = sd_bus_message_new_method_call(bus, ret, MACHINED_NAME, MACHINED_PATH, MACHINED_MANAGER,
                                               method);

        return r < 0 ? r : sd_bus_message_append(*ret, "s", name);
}

int machined_register(sd_bus *bus, const char *name, const char *uuid, pid_t leader, const char *root,
                      MachinedReply reply, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        uint8_t id[16];
        int r;

        r = begin(bus, "RegisterMachineWithNetwork", name, &call);
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(call, 'y', id, parse_id128(uuid, id) >= 0 ? sizeof(id) : 0);
        if (r < 0)
                return r;
        /* The service marks machines of mctl, so that they are not mistaken for foreign ones when
         * systemd-machined reports them. */
        r = sd_bus_message_append(call, "ssusai", "mctl", "container", (uint32_t) leader, root ?: "", 0);
        return r < 0 ? r : ask(bus, call, &(Question){ .reply = reply, .userdata = userdata });
}

int machined_unregister(sd_bus *bus, const char *name, MachinedReply reply, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = begin(bus, "UnregisterMachine", name, &call);

        return r < 0 ? r : ask(bus, call, &(Question){ .reply = reply, .userdata = userdata });
}

static int ask_object(sd_bus *bus, const char *path, MachinedKnown told, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, MACHINED_NAME, path,
                                           "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "s", MACHINED_MACHINE);
        return r < 0 ? r : ask(bus, call, &(Question){ .known = told, .userdata = userdata });
}

int machined_ask(sd_bus *bus, const char *name, MachinedKnown told, void *userdata)
{
        _cleanup_free_ char *path = NULL;
        int r = sd_bus_path_encode(MACHINED_MACHINES, name, &path);

        return r < 0 ? r : ask_object(bus, path, told, userdata);
}

/* --- those that come and go ---------------------------------------------------------------------------- */

static int on_new(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        const MachinedEvents *e = userdata;
        const char *path;

        (void) ret_error;
        if (sd_bus_message_read(signal, "so", NULL, &path) >= 0)
                (void) ask_object(sd_bus_message_get_bus(signal), path, e->known, e->userdata);
        return 0;
}

static int on_removed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
        const MachinedEvents *e = userdata;
        const char *name;

        (void) ret_error;
        if (sd_bus_message_read(signal, "so", &name, NULL) >= 0)
                e->removed(e->userdata, name);
        return 0;
}

static int on_list(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const MachinedEvents *e = userdata;
        const char *path;

        (void) ret_error;
        if (sd_bus_message_get_error(reply) || sd_bus_message_enter_container(reply, 'a', "(ssso)") < 0)
                return 0;
        while (sd_bus_message_read(reply, "(ssso)", NULL, NULL, NULL, &path) > 0)
                (void) ask_object(sd_bus_message_get_bus(reply), path, e->known, e->userdata);
        return 0;
}

int machined_follow(sd_bus *bus, const MachinedEvents *events)
{
        static const struct {
                const char *signal;
                sd_bus_message_handler_t handler;
        } signals[] = { { "MachineNew", on_new }, { "MachineRemoved", on_removed } };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_bus_match_signal_async(bus, NULL, MACHINED_NAME, MACHINED_PATH, MACHINED_MANAGER,
                                              signals[i].signal, signals[i].handler, NULL, (void *) events);
                if (r < 0)
                        return r;
        }
        return sd_bus_call_method_async(bus, NULL, MACHINED_NAME, MACHINED_PATH, MACHINED_MANAGER,
                                        "ListMachines", on_list, (void *) events, "");
}

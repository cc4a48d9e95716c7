/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/objects.h"

#include <string.h>

#include "basic/failure.h"
#include "basic/names.h"
#include "basic/parse.h"
#include "basic/str.h"
#include "client/client.h"

const char *json_text(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

uint64_t json_number(const json_t *object, const char *key)
{
        return (uint64_t) json_integer_value(json_object_get(object, key));
}

/* Reads a basic value; null for types that no caller uses. */
static json_t *read_basic(sd_bus_message *m, char type)
{
        union {
                const char *s;
                int b;
                uint8_t y;
                uint16_t q;
                uint32_t u;
                int32_t i;
                uint64_t t;
                int64_t x;
                double d;
        } v;

        if (sd_bus_message_read_basic(m, type, &v) < 0)
                return NULL;
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                return json_string(v.s);
        case 'b':
                return json_boolean(v.b);
        case 'y':
                return json_integer(v.y);
        case 'q':
                return json_integer(v.q);
        case 'i':
                return json_integer(v.i);
        case 'u':
                return json_integer(v.u);
        case 't':
                /* JSON integers of jansson are signed. Larger numbers mean "no limit". */
                return v.t > INT64_MAX ? json_string("infinity") : json_integer(v.t);
        case 'x':
                return json_integer(v.x);
        case 'd':
                return json_real(v.d);
        default:
                return json_null();
        }
}

static json_t *read_strings(sd_bus_message *m)
{
        json_t *array = json_array();
        const char *s;

        if (sd_bus_message_enter_container(m, 'a', "s") >= 0) {
                while (sd_bus_message_read(m, "s", &s) > 0)
                        json_array_append_new(array, json_string(s));
                (void) sd_bus_message_exit_container(m);
        }
        return array;
}

int client_read_properties(sd_bus_message *m, json_t **ret)
{
        json_t *object = json_object();
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key, *types;
                json_t *value = NULL;

                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &types);
                if (r >= 0 && (strlen(types) == 1 || streq(types, "as"))) {
                        r = sd_bus_message_enter_container(m, 'v', types);
                        if (r >= 0)
                                value = types[1] ? read_strings(m) : read_basic(m, types[0]);
                        if (r >= 0 && value)
                                json_object_set_new(object, key, value);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_decref(object);
                return r;
        }
        *ret = object;
        return 0;
}

static int read_objects(sd_bus_message *m, json_t *array)
{
        json_t *object;
        int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

        while (r >= 0 && (r = !sd_bus_message_at_end(m, false)) > 0) {
                r = client_read_properties(m, &object);
                if (r >= 0)
                        json_array_append_new(array, object);
        }
        return r;
}

/* Calls a method of the registry. read() appends the elements of its answer to the array. */
static int ask_list(sd_bus *bus, const char *method, const char *argument,
                    int (*read)(sd_bus_message *m, json_t *array), json_t **ret, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = client_call(bus, CLIENT_QUESTION, &client_registry, method, &reply, ret_error,
                            argument ? "s" : "", argument);

        if (r < 0)
                return r;
        json_t *array = json_array();
        r = array ? read(reply, array) : -ENOMEM;
        if (r < 0) {
                json_decref(array);
                return set_failure_errno(ret_error, r, "Failed to read the answer of %s()", method);
        }
        *ret = array;
        return 0;
}

int client_list(sd_bus *bus, const char *method, json_t **ret, char **ret_error)
{
        return ask_list(bus, method, NULL, read_objects, ret, ret_error);
}

static int read_snapshots(sd_bus_message *m, json_t *array)
{
        const char *name;
        uint64_t time;
        int r = sd_bus_message_enter_container(m, 'a', "(st)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(st)", &name, &time)) > 0)
                json_array_append_new(array, json_pack("{ss sI}", "name", name, "time", (json_int_t) time));
        return r;
}

int client_list_snapshots(sd_bus *bus, const char *image, json_t **ret, char **ret_error)
{
        return ask_list(bus, "ListSnapshots", image, read_snapshots, ret, ret_error);
}

int client_find_machine(sd_bus *bus, const char *name, json_t **ret, char **ret_error)
{
        json_t *array, *object, *found = NULL;
        size_t i;
        int r = client_list(bus, "ListMachines", &array, ret_error);

        if (r < 0)
                return r;
        json_array_foreach (array, i, object)
                if (streq_ptr(json_text(object, "Name"), name) &&
                    (!found || !streq_ptr(json_text(object, "State"), "failed")))
                        found = object;
        *ret = json_incref(found);
        json_decref(array);
        return 0;
}

int client_get_unit(sd_bus *bus, const char *unit, json_t **ret, char **ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *path = NULL;
        int r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);

        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to read unit '%s'", unit);
        const ClientObject object = { client_systemd.name, path, "org.freedesktop.DBus.Properties" };
        r = client_call(bus, CLIENT_QUESTION, &object, "GetAll", &reply, ret_error, "s", "");
        if (r < 0)
                return r;
        r = client_read_properties(reply, ret);
        return r < 0 ? set_failure_errno(ret_error, r, "Failed to read unit '%s'", unit) : 0;
}

char *unit_describe_failure(const json_t *unit)
{
        const char *result = json_text(unit, "Result");
        int status = (int) json_number(unit, "ExecMainStatus");
        char signal_name[SIGNAL_NAME_MAX];

        if (streq_ptr(result, "exit-code") && status == 0)
                return strdup("a command of the unit failed (such as ExecStartPre=)");
        if (streq_ptr(result, "exit-code"))
                return strf("the main process ended with status %i", status);
        if (streq_ptr(result, "signal") || streq_ptr(result, "core-dump"))
                return strf("the main process was killed by %s", signal_to_string(status, signal_name));
        if (streq_ptr(result, "timeout"))
                return strdup("the unit did not start in time (TimeoutStartSec=)");
        if (streq_ptr(result, "protocol") || streq_ptr(result, "success"))
                return strdup("the main process ended before the unit was up");
        return strf("result '%s'", strna(result));
}

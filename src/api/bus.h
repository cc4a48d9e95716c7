/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* A door to the manager on D-Bus. The methods of its interfaces are rows: an operation, what its method is
 * called, and which of the operation's arguments and answers travel in which order. Their types are those of
 * the schemas, so nothing is said twice; what a schema cannot say has functions of its own. */

typedef struct BusMethod BusMethod;

/* A call that came over a bus. */
typedef struct BusCall {
        Call call;
        sd_bus_message *message;
        const BusMethod *method;
        struct BusDoor *door;
        sd_bus_track *track; /* of who has asked; NULL where nobody wants to know */
} BusCall;

struct BusMethod {
        const char *manager; /* of the manager's object; it begins with the name of the target, if there is
                                one */
        const char *object;  /* of the target's own object; NULL where it has none */
        const Operation *operation;
        /* Keys of the schemas, blank separated, each with what introspection calls it behind a colon where
         * that is not the key itself with underscores ("newName" is "new_name"). "=TYPES:NAME" is what the
         * functions below read and append; the keys come after that. */
        const char *in, *out;
        /* Each may be NULL. A negative errno refuses the call: -EINVAL for bad arguments. */
        int (*read)(BusCall *call, sd_bus_message *message, void *arguments);
        int (*append)(const BusCall *call, sd_bus_message *reply, const void *answer);
};

/* What can be reached over a bus, by one family of interfaces. */
typedef struct BusDoor {
        Manager *manager;
        sd_bus *bus;
        Family family;
        const char *machines; /* what object paths of machines begin with */
        struct BusTable *tables;
} BusDoor;

/* Makes one that nobody can reach yet; what it is given stays the caller's. Once the bus is closed, it is to
 * be cleared. */
void bus_door_init(BusDoor *door, Manager *manager, sd_bus *bus, Family family, const char *machines);
void bus_door_clear(BusDoor *door);

/* What is at a path: the methods of the manager among the rows, with properties and signals in a table of
 * sd-bus(3), which has the door's userdata. */
int bus_door_add_manager(BusDoor *door, const char *path, const char *interface, const BusMethod *methods,
                         const sd_bus_vtable *others);

/* The same for objects of targets of that kind below a path; `find` finds what their properties are of. */
int bus_door_add_objects(BusDoor *door, const char *prefix, const char *interface, TargetKind target,
                         const BusMethod *methods, const sd_bus_vtable *others, sd_bus_object_find_t find);

/* Has the operation of a method run for a message, as if it had come to the method; for messages that no
 * table of sd-bus takes. `target` may be NULL. Returns 1, or an error. */
int bus_door_call(BusDoor *door, sd_bus_message *message, const BusMethod *method, const char *target);

/* The tables that were made, the last one first, as sd-bus has them, for tests: NULL behind the first. */
const sd_bus_vtable *bus_door_table(const BusDoor *door, size_t n);

/* The object path of something called so; the caller frees it. NULL when out of memory. */
char *bus_path(const char *prefix, const char *name);

/* Reads and appends a field as its type says; what was read before is freed. */
int bus_read_field(sd_bus_message *message, const Field *field, void *object);
int bus_append_field(const BusDoor *door, sd_bus_message *message, const Field *field, const void *object);

/* "KEY" → value, of a a{sv}; nothing for an empty text. */
int bus_append_text(sd_bus_message *message, const char *key, const char *value);

/* An ID as 16 bytes, or none for "". */
int bus_append_id(sd_bus_message *message, const char *id);

/* Defines a getter get_NAME() of a property of sd-bus: an expression that appends it to `reply`, of what
 * `type *object` points to. */
#define DEFINE_BUS_GETTER(name, type, expression)                                                         \
        static int get_##name(sd_bus *bus, const char *path, const char *interface, const char *property, \
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)                 \
        {                                                                                                 \
                const type *object = userdata;                                                            \
                (void) bus;                                                                               \
                (void) path;                                                                              \
                (void) interface;                                                                         \
                (void) property;                                                                          \
                (void) error;                                                                             \
                return expression;                                                                        \
        }                                                                                                 \
        struct _semicolon_

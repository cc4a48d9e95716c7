/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* A door to the manager on D-Bus. The methods of its interfaces are rows: an operation, the name of the
 * method, and the order in which arguments and answers travel. The types come from the schemas. Functions of
 * a row read and append what a schema cannot express. */

typedef struct BusMethod BusMethod;

/* A call that came over the bus. */
typedef struct BusCall {
        Call call;
        sd_bus_message *message;
        const BusMethod *method;
        struct BusDoor *door;
        sd_bus_track *track; /* tells when the caller leaves; NULL if the operation does not need to know */
} BusCall;

struct BusMethod {
        const char *manager; /* the method of the manager's object; it begins with the name of the target, if
                                there is one */
        const char *object;  /* the method of the target's object; NULL if there is none */
        const Operation *operation;
        /* Keys of the schemas, separated by blanks. A key can have a name for introspection after a colon;
         * the default is the key with underscores ("new_name" for "newName"). "=TYPES:NAME" describes
         * arguments that the functions below read and append. Such arguments come before the keys. */
        const char *in, *out;
        /* Each may be NULL. A negative errno fails the call: -EINVAL for wrong arguments. */
        int (*read)(BusCall *call, sd_bus_message *message, void *arguments);
        int (*append)(const BusCall *call, sd_bus_message *reply, const void *answer);
};

/* A door: the objects of one family of interfaces on a bus. */
typedef struct BusDoor {
        Manager *manager;
        sd_bus *bus;
        Family family;
        const char *machines; /* the begin of object paths of machines */
        struct BusTable *tables;
} BusDoor;

/* Makes a door without objects. The arguments stay the caller's. The door is cleared after the bus has been
 * closed. */
void bus_door_init(BusDoor *door, Manager *manager, sd_bus *bus, Family family, const char *machines);
void bus_door_clear(BusDoor *door);

/* Adds an object at a path: with the methods of the manager from the rows, and with properties and signals
 * from a table of sd-bus(3), whose userdata is that of the door. */
int bus_door_add_manager(BusDoor *door, const char *path, const char *interface, const BusMethod *methods,
                         const sd_bus_vtable *others);

/* Adds the objects of targets of this kind below a path. `find` finds the userdata of their properties. */
int bus_door_add_objects(BusDoor *door, const char *prefix, const char *interface, TargetKind target,
                         const BusMethod *methods, const sd_bus_vtable *others, sd_bus_object_find_t find);

/* Runs the operation of a method for a message, as if the message were a call of the method. For messages
 * that no table of sd-bus takes. `target` may be NULL. Returns 1, or an error. */
int bus_door_call(BusDoor *door, sd_bus_message *message, const BusMethod *method, const char *target);

/* The tables of a door for tests, the last one first. NULL after the first one. */
const sd_bus_vtable *bus_door_table(const BusDoor *door, size_t n);

/* Returns the object path of a name. The caller frees the path. NULL when out of memory. */
char *bus_path(const char *prefix, const char *name);

/* Read and append a field by its type. Reading frees the previous value. */
int bus_read_field(sd_bus_message *message, const Field *field, void *object);
int bus_append_field(const BusDoor *door, sd_bus_message *message, const Field *field, const void *object);

/* Appends "KEY" → value to an a{sv}. Appends nothing for an empty text. */
int bus_append_text(sd_bus_message *message, const char *key, const char *value);

/* Appends an ID as 16 bytes, or an empty array for "". */
int bus_append_id(sd_bus_message *message, const char *id);

/* Defines a getter get_NAME() of a property for sd-bus. The expression appends the value of `type *object`
 * to `reply`. */
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

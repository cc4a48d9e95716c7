/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

/* Machines, images and units as JSON objects, whose keys are the names of properties on the bus. Errors are
 * as in client.h. The caller owns the objects. */

/* Return a member of an object, or NULL or 0 if the object has no member of that key and type. */
const char *json_text(const json_t *object, const char *key);
uint64_t json_number(const json_t *object, const char *key);

/* Reads a{sv}. Numbers above INT64_MAX become "infinity". Only basic types and lists of strings are read. */
int client_read_properties(sd_bus_message *message, json_t **ret);

/* Returns the answer of ListMachines() or ListImages() as an array. */
int client_list(sd_bus *bus, const char *method, json_t **ret, char **ret_error);

/* Finds a machine in the answer of ListMachines(), one that runs rather than one that has failed. *ret is
 * NULL if there is none. */
int client_find_machine(sd_bus *bus, const char *name, json_t **ret, char **ret_error);

/* Returns {"name", "time"} for each snapshot of an image, the oldest first. Times are µs since 1970. */
int client_list_snapshots(sd_bus *bus, const char *image, json_t **ret, char **ret_error);

/* Returns all properties of a unit, including those of the interface of its type. */
int client_get_unit(sd_bus *bus, const char *unit, json_t **ret, char **ret_error);

/* Describes by a unit's properties why the unit is not up: "the main process ended with status 3". The
 * caller frees the text. NULL when out of memory. */
char *unit_describe_failure(const json_t *unit);

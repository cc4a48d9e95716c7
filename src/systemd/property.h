/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "basic/str.h"

/* Properties of units as elements "(sv)" of the array a(sv) that StartTransientUnit() and
 * SetUnitProperties() take. */

/* property_open() opens an element "(sv)" up to its value, which has these types. The caller appends the
 * value. property_close() closes `n` containers: the two of property_open(), and those that the value has
 * opened. */
int property_open(sd_bus_message *message, const char *name, const char *types);
int property_close(sd_bus_message *message, unsigned n);

/* Appends a property of type "aay" with one byte array, the text. */
int property_append_field(sd_bus_message *message, const char *name, const char *value);

/* Appends an assignment in the syntax of systemd.directives(7). The type of the property comes from `types`,
 * systemd's introspection data of a service, so properties of newer versions work as well. -EINVAL with a
 * text if the property is unknown or the value is bad, -EOPNOTSUPP with a text if the property cannot be set
 * here. */
int property_append_assignment(sd_bus_message *message, const char *types, const char *assignment,
                               char **ret_error);

/* Whether all types of units have a property, so that it belongs in section [Unit] of a file. */
bool property_is_of_unit(const char *types, const char *key);

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Macros of jansson for cppcheck, which does not read the headers of the system. */
#define json_array_foreach(array, index, value) \
        for (index = 0; (value = json_array_get(array, index)); index++)
#define json_object_foreach(object, key, value) \
        for (key = first(object); (value = json_object_get(object, key)); key = next(object, key))

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What cppcheck, which reads no headers of the system, has to know of jansson's. */
#define json_array_foreach(array, index, value) \
        for (index = 0; (value = json_array_get(array, index)); index++)
#define json_object_foreach(object, key, value) \
        for (key = first(object); (value = json_object_get(object, key)); key = next(object, key))

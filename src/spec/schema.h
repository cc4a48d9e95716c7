/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "basic/str.h"

/* A schema describes the fields of a struct as data. So one reader and one writer serve all structs in each
 * format: JSON for requests to workers and their answers, JSON or D-Bus messages for the arguments and
 * answers of calls.
 *
 * The struct owns the memory of its fields. A field of zeros has not been set: a string is NULL, a list is
 * empty. */

typedef enum FieldType {
        FIELD_STRING,  /* char * */
        FIELD_JOB,     /* char *: an object path of systemd */
        FIELD_MACHINE, /* char *: the name of a machine, which stands for its object on a bus */
        FIELD_ID128,   /* char[33]: 32 hexadecimal digits, or "" */
        FIELD_BOOL,    /* bool */
        FIELD_CHOICE,  /* int: 1 for yes, -1 for no, 0 if not set */
        FIELD_INT,     /* int32_t */
        FIELD_UINT,    /* uint32_t */
        FIELD_INT64,   /* int64_t */
        FIELD_UINT64,  /* uint64_t; in JSON, values above INT64_MAX are negative numbers of the same bits */
        FIELD_DOUBLE,  /* double */
        FIELD_STRINGS, /* Strv */
        FIELD_PAIRS,   /* Strv: key, value, key, value, and so on */
        FIELD_INTS,    /* int32_t *, with a size_t for their number */
        FIELD_ARRAY,   /* array of structs of one kind, with a size_t for their number */
        FIELD_FD,      /* int: a descriptor, which JSON cannot carry */
        _FIELD_TYPE_MAX,
} FieldType;

typedef struct Schema Schema;

typedef struct Field {
        const char *key;
        FieldType type;
        size_t offset;
        size_t count_offset;   /* of FIELD_ARRAY and FIELD_INTS */
        const Schema *element; /* of FIELD_ARRAY */
} Field;

struct Schema {
        size_t size;
        const Field *fields; /* ends with a field without a key */
};

#define FIELD(type, kind, key, member)            \
        {                                         \
                key, kind, offsetof(type, member) \
        }
#define FIELD_LIST(type, key, member, count, schema)                                               \
        {                                                                                          \
                key, FIELD_ARRAY, offsetof(type, member), offsetof(type, count), .element = schema \
        }

#define FIELD_NUMBERS(type, key, member, count)                                \
        {                                                                      \
                key, FIELD_INTS, offsetof(type, member), offsetof(type, count) \
        }

/* Defines the schema NAME of a struct: DEFINE_SCHEMA(copy_schema, CopyRequest, FIELD(…), …). */
#define DEFINE_SCHEMA(name, type, ...) \
        const Schema name = { sizeof(type), (const Field[]){ __VA_ARGS__, { .key = NULL } } }

/* Returns the address of a field in an object. */
static inline void *field_of(const Field *field, const void *object)
{
        return (uint8_t *) object + field->offset;
}

/* Returns the field with this key, or NULL. */
const Field *schema_find(const Schema *schema, const char *key);

/* Makes an object of zeros, but descriptors are -EBADF. NULL when out of memory, or if the schema is
 * NULL. */
void *schema_new(const Schema *schema);

/* schema_clear() frees the memory of the fields, schema_free() the object as well. The object may be
 * NULL. */
void schema_clear(const Schema *schema, void *object);
void schema_free(const Schema *schema, void *object);

/* Returns a new reference, without the fields that have not been set. NULL when out of memory. */
json_t *schema_to_json(const Schema *schema, const void *object);

/* Reads JSON into an object as schema_new() makes it. NULL or null is an object without keys, and a null
 * value leaves its field unset. -EINVAL for a value of another type or out of range, and for an unknown key
 * unless `lenient` is true. After an error, ret_key is the key; it is valid as long as the JSON and the
 * schema are. The caller clears the object, also after an error. */
int schema_from_json(const Schema *schema, const json_t *json, bool lenient, void *object,
                     const char **ret_key);

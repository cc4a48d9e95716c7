/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "basic/str.h"

/* Everything a machine can be told. The command line, machine files and JSON are readers that assign to one Spec,
 * in the order in which they count: a later assignment takes the place of an earlier one, a list grows, and an
 * empty assignment resets it to its default. So there is no merging, and what remains is what counts.
 *
 * All of it is driven by one table of settings (spec.c): adding a setting is a field here, a row there, and a type
 * where none fits. */

typedef enum SpecSource {
        SPEC_SOURCE_DEFAULT, /* built in */
        SPEC_SOURCE_FILE,    /* the administrator's machine file */
        SPEC_SOURCE_COMMAND, /* the command line */
        _SPEC_SOURCE_MAX,
} SpecSource;

typedef enum SpecSection {
        SPEC_SECTION_IMAGE,
        SPEC_SECTION_EXEC,
        SPEC_SECTION_FILES,
        SPEC_SECTION_NETWORK,
        _SPEC_SECTION_MAX,
} SpecSection;

typedef enum UsersMode {
        USERS_PICK,     /* a range of its own, chosen by name */
        USERS_EXPLICIT, /* a range that was told */
        USERS_IDENTITY, /* a namespace that maps 0…65535 to itself */
        USERS_HOST,     /* no user namespace */
        _USERS_MODE_MAX,
} UsersMode;

typedef struct PrivateUsers {
        UsersMode mode;
        uid_t base; /* of the range on the host; with USERS_PICK, 0 until it is chosen */
        uint32_t size;
} PrivateUsers;

#define USERS_RANGE_SIZE 65536U

#define SETTINGS_MAX 64

typedef struct Spec {
        char *name; /* of the machine */

        /* [Image] */
        char *image; /* a name in the store, or an absolute path */

        /* [Exec] */
        bool boot;
        Strv parameters;
        Strv environment;
        int kill_signal; /* 0: what suits the payload */
        char *hostname;  /* NULL: the machine's name */
        char *machine_id;
        bool notify_ready;
        PrivateUsers private_users;

        /* [Files] */
        bool read_only;

        /* [Network] */
        bool private_network;

        /* [Resources]: assignments KEY=VALUE to properties of the unit, as systemd.directives(7) spells them */
        Strv resources;

        SpecSource source[SETTINGS_MAX]; /* who assigned each setting last */
} Spec;

typedef struct Setting Setting;

/* How a kind of value is read and written. */
typedef struct SettingType {
        const char *expects; /* "a boolean", for errors and the man page */
        bool list;           /* assignments add up */
        int (*parse)(void *field, const char *value); /* -EINVAL, -ERANGE for a value that is none */
        json_t *(*to_json)(const void *field);        /* a new reference; json_null() for nothing */
        void (*clear)(void *field);
} SettingType;

struct Setting {
        SpecSection section;
        const char *key;
        const SettingType *type;
        size_t offset;
        const char *option;  /* of the command line, without "--"; NULL for none */
        const char *initial; /* the default, as it would be assigned; NULL for an empty one */
        const char *help;
};

extern const Setting settings[];
extern const size_t n_settings;

const char *spec_section_name(SpecSection section) _const_;

/* The setting of that name, or NULL. */
const Setting *setting_find(SpecSection section, const char *key);

/* A spec with all defaults. NULL when out of memory. */
Spec *spec_new(const char *name);
void spec_free(Spec *spec);
DEFINE_CLEANUP(Spec *, spec_free);
#define _cleanup_spec_ _cleanup_(spec_free_cleanup)

/* Assigns one value, in its text form; the empty one resets. On a value that is none, returns -EINVAL and a text
 * for people in ret_error, without a place in front of it. The caller frees that. */
int spec_assign(Spec *spec, const Setting *setting, SpecSource source, const char *value, char **ret_error);

/* Adds "KEY=VALUE" to the properties of the unit; KEY must look like one. */
int spec_assign_resource(Spec *spec, const char *assignment, char **ret_error);

/* Judges the whole, once everything is assigned: -EINVAL and a text. */
int spec_validate(const Spec *spec, char **ret_error);

/* Reads a machine file. `text` is changed. Nothing is left out in silence: the first thing that is wrong stops the
 * reading with -EINVAL and a text that begins with "FILE:LINE: ". */
int spec_read_file(Spec *spec, SpecSource source, const char *file, char *text, char **ret_error);

#define SPEC_FILE_MAX (1024U * 1024U)

/* The JSON form, { "Name": …, "Exec": { "Boot": true, … }, …, "Resources": { … } }. With `all` false, only what was
 * assigned by somebody. Returns a new reference, NULL when out of memory. */
json_t *spec_to_json(const Spec *spec, bool all);
int spec_from_json(Spec *spec, SpecSource source, json_t *json, char **ret_error);
int spec_from_json_text(Spec *spec, SpecSource source, const char *text, char **ret_error);

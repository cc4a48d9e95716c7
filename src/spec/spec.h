/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "basic/str.h"

/* A Spec has all settings of a machine. The command line, machine files and JSON are readers that assign to
 * one Spec, in order of rising priority. A later assignment replaces the value of an earlier one; an
 * assignment to a list adds to the list. An empty assignment resets a setting to its default. So readers
 * need no merging of specs.
 *
 * The table settings[] in spec.c describes all settings. A new setting needs a field in Spec, a row in the
 * table, and a type if no type fits. */

typedef enum SpecSource {
        SPEC_SOURCE_DEFAULT, /* built in */
        SPEC_SOURCE_IMAGE,   /* a file that came with the image, which is not trusted */
        SPEC_SOURCE_FILE,    /* a file of the distribution or the administrator */
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
        USERS_PICK,     /* a range for the machine alone, derived from its name */
        USERS_EXPLICIT, /* a range that was given */
        USERS_IDENTITY, /* a namespace that maps 0…65535 to itself */
        USERS_HOST,     /* no user namespace */
        _USERS_MODE_MAX,
} UsersMode;

typedef struct PrivateUsers {
        UsersMode mode;
        uid_t base; /* first ID of the range on the host; with USERS_PICK, 0 until the range is chosen */
        uint32_t size;
} PrivateUsers;

#define USERS_RANGE_SIZE 65536U

typedef enum Profile {
        PROFILE_DEFAULT,
        PROFILE_NESTING,    /* for container managers in the machine */
        PROFILE_STRICT,     /* without the kernel interfaces that are attacked most */
        PROFILE_PRIVILEGED, /* no filter, all capabilities, no hidden files */
        _PROFILE_MAX,
} Profile;

typedef enum Volatile {
        VOLATILE_NO,
        VOLATILE_YES,     /* an empty root in memory, with the /usr of the image */
        VOLATILE_STATE,   /* a read-only root with an empty /var in memory */
        VOLATILE_OVERLAY, /* all changes go to memory */
        VOLATILE_DISK,    /* all changes go to a directory that is removed with the machine */
        _VOLATILE_MAX,
} Volatile;

typedef enum ResolvConf {
        RESOLV_CONF_AUTO,
        RESOLV_CONF_OFF,
        RESOLV_CONF_COPY_HOST,
        RESOLV_CONF_COPY_STATIC,
        RESOLV_CONF_COPY_UPLINK,
        RESOLV_CONF_COPY_STUB,
        RESOLV_CONF_REPLACE_HOST,
        RESOLV_CONF_REPLACE_STATIC,
        RESOLV_CONF_REPLACE_UPLINK,
        RESOLV_CONF_REPLACE_STUB,
        RESOLV_CONF_BIND_HOST,
        RESOLV_CONF_BIND_STATIC,
        RESOLV_CONF_BIND_UPLINK,
        RESOLV_CONF_BIND_STUB,
        RESOLV_CONF_DELETE,
        _RESOLV_CONF_MAX,
} ResolvConf;

typedef enum Timezone {
        TIMEZONE_AUTO,
        TIMEZONE_OFF,
        TIMEZONE_COPY,
        TIMEZONE_BIND,
        TIMEZONE_SYMLINK,
        TIMEZONE_DELETE,
        _TIMEZONE_MAX,
} Timezone;

typedef enum LinkJournal {
        LINK_JOURNAL_AUTO, /* like try-guest */
        LINK_JOURNAL_NO,
        LINK_JOURNAL_HOST,
        LINK_JOURNAL_TRY_HOST,
        LINK_JOURNAL_GUEST,
        LINK_JOURNAL_TRY_GUEST,
        _LINK_JOURNAL_MAX,
} LinkJournal;

typedef enum Personality {
        PERSONALITY_NATIVE,
        PERSONALITY_X86,
        PERSONALITY_X86_64,
        _PERSONALITY_MAX,
} Personality;

typedef enum NumaPolicy {
        NUMA_DEFAULT,
        NUMA_PREFERRED,
        NUMA_BIND,
        NUMA_INTERLEAVE,
        NUMA_LOCAL,
        _NUMA_POLICY_MAX,
} NumaPolicy;

/* The terminal of the first process, /dev/console, and the holder of its master side. */
typedef enum ConsoleMode {
        CONSOLE_AUTO, /* pty for an init, pipe for a command */
        CONSOLE_PIPE, /* no terminal: the standard streams are those of the unit */
        CONSOLE_PTY,  /* the registry holds the master side */
        /* the program that started the machine gets the master side, over the socket on standard input */
        CONSOLE_INTERACTIVE,
        _CONSOLE_MAX,
} ConsoleMode;

/* Returns the word of a mode for Console=. */
const char *console_mode_to_string(ConsoleMode mode);

typedef struct ResourceLimit {
        bool set;
        uint64_t soft, hard; /* UINT64_MAX is infinity */
} ResourceLimit;

#define RLIMITS_MAX 16 /* RLIM_NLIMITS; the index is an RLIMIT_… */

#define SETTINGS_MAX 96

typedef struct Spec {
        char *name; /* name of the machine */

        /* [Image] */
        char *image; /* a name in the store, or an absolute path */

        /* [Exec] */
        bool boot, process_two;
        ConsoleMode console;
        Strv parameters;
        char *working_directory;
        Strv environment;
        char *user;
        int kill_signal; /* 0: the default for the payload */
        bool notify_ready;
        char *hostname; /* NULL: the name of the machine */
        char *machine_id;
        PrivateUsers private_users;
        Profile profile;
        uint64_t capability, drop_capability, ambient_capability; /* masks */
        bool no_new_privileges;
        Strv system_call_filter; /* names and @groups; with "~" in front, to be refused */
        Personality personality;
        Strv sysctl; /* KEY=VALUE */
        ResourceLimit limits[RLIMITS_MAX];
        int oom_score_adjust; /* INT_MIN: not changed */
        char *cpu_affinity;   /* "0-3,7" */
        NumaPolicy numa_policy;
        char *numa_mask;
        ResolvConf resolv_conf;
        Timezone timezone;
        LinkJournal link_journal;
        Strv load_credential, set_credential; /* ID:PATH, ID:VALUE */

        /* [Files]. Lists have entries in the forms of mount.h. */
        bool read_only;
        char *root_hash; /* of a disk: hexadecimal, "signed", "no" or "auto"; NULL means "auto" */
        Volatile volatile_mode;
        Strv bind, bind_read_only, temporary_file_system, overlay, overlay_read_only, inaccessible;
        Strv device; /* PATH[:rwm] */

        /* [Network] */
        bool private_network;
        char *namespace_path;
        Strv interface; /* HOST[:INSIDE] */

        /* [Resources]: assignments KEY=VALUE to properties of the unit, with the names of
         * systemd.directives(7). */
        Strv resources;

        /* The lines of [Unit], [Service] and [Install] in machine files, unchanged, for systemd. Not part of
         * the JSON form. */
        Strv unit_lines;

        bool reset[SETTINGS_MAX];        /* a list was reset before the current values were assigned */
        SpecSource source[SETTINGS_MAX]; /* the source of the last assignment to each setting */
} Spec;

typedef struct Setting Setting;

typedef struct SettingType SettingType;

/* A type of settings, with functions that read and write values. */
struct SettingType {
        const char *expects; /* "a boolean", for errors and the man page */
        /* placeholder for the help, or NULL if the value is optional on the command line */
        const char *argument;
        const char *const *values;        /* the words of an enumeration, NULL-terminated */
        bool (*check)(const char *value); /* checks a string, or each string of a list */
        bool list;                        /* assignments add to a list */
        int (*parse)(const SettingType *type, void *field, const char *value); /* -EINVAL, -ERANGE */
        json_t *(*to_json)(const SettingType *type,
                           const void *field); /* returns a new reference, or json_null() */
        void (*clear)(void *field);
};

struct Setting {
        SpecSection section;
        const char *key;
        const SettingType *type;
        size_t offset;
        const char *option;  /* on the command line, without "--"; or NULL */
        const char *initial; /* the default in its text form, or NULL for an empty one */
        bool image_may;      /* a file that came with an image may assign the setting */
        const char *help;
};

extern const Setting settings[];
extern const size_t n_settings;

/* "Image", "Exec", … */
const char *spec_section_name(SpecSection section) _const_;

/* Returns the setting with this key, or NULL. */
const Setting *setting_find(SpecSection section, const char *key);

/* Makes a spec with all defaults. NULL when out of memory. */
Spec *spec_new(const char *name);
void spec_free(Spec *spec);
DEFINE_CLEANUP(Spec *, spec_free);
#define _cleanup_spec_ _cleanup_(spec_free_cleanup)

/* Assigns a value in its text form. An empty value resets the setting. For an invalid value, returns -EINVAL
 * and a text for people in ret_error, which names no file or option. The caller frees the text. */
int spec_assign(Spec *spec, const Setting *setting, SpecSource source, const char *value, char **ret_error);

/* Whether an assignment is to a property that makes the unit a machine. Users cannot set such properties. */
bool spec_property_reserved(const char *assignment);

/* Appends "KEY=VALUE" to the properties of the unit. -EINVAL and a text if KEY cannot be the name of a
 * property, or is reserved. */
int spec_assign_resource(Spec *spec, const char *assignment, char **ret_error);

/* Appends DeviceAllow= for each device, and for the devices of the profile. The launcher makes the device
 * nodes, so "m" is always allowed. */
int spec_allow_devices(const Spec *spec, Strv *lines);

/* Appends DeviceAllow= for the devices that the launcher needs to mount disks. Machines have no nodes for
 * these devices, and only a machine with PrivateUsers=no could make them. */
int spec_allow_disks(Strv *lines);

/* Appends dependencies that load device mapper into the kernel before the unit starts. */
int spec_need_device_mapper(Strv *lines);

/* Whether RootHash= requires hashes. */
bool spec_wants_hashes(const Spec *spec) _pure_;

/* Checks all settings together, after the last assignment. -EINVAL and a text. */
int spec_validate(const Spec *spec, char **ret_error);

/* Reads a machine file, or a file of systemd-nspawn if `nspawn` is true. Files of systemd-nspawn have no
 * specifiers, and keys that mctl does not support are left out with a warning. In a file that came with an
 * image, settings that an image may not set are left out with a warning, too. The first error ends the
 * reading with -EINVAL and a text that begins with "FILE:LINE: ". `text` is modified. */
int spec_read_file(Spec *spec, SpecSource source, const char *file, bool nspawn, char *text, Strv *warnings,
                   char **ret_error);

/* Writes the form of a machine file, which the caller frees. If `all` is false, only assigned settings are
 * written. -EINVAL for a value that a file cannot have: with a blank at either end, or a backslash at the
 * end. */
int spec_to_text(const Spec *spec, bool all, char **ret);

#define SPEC_FILE_MAX (1024U * 1024U)

/* Returns the JSON form, { "Name": …, "Exec": { "Boot": true, … }, …, "Resources": { … } }, as a new
 * reference. If `all` is false, it has only assigned settings. NULL when out of memory. */
json_t *spec_to_json(const Spec *spec, bool all);
/* Returns the JSON form as a text, which the caller frees. `flags` are those of json_dumps() in Jansson. */
char *spec_to_json_text(const Spec *spec, bool all, size_t flags);
int spec_from_json(Spec *spec, SpecSource source, json_t *json, char **ret_error);
int spec_from_json_text(Spec *spec, SpecSource source, const char *text, char **ret_error);

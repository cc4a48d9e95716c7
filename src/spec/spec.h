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
        SPEC_SOURCE_IMAGE,   /* a file that came with the image: not to be trusted */
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

/* The store is a directory of images, which systemd's own tools share. */
#define IMAGE_STORE "/var/lib/machines"
/* Of Volatile=disk: beside the images, where there is room, and under a name that is no image's. */
#define CHANGES_DIR IMAGE_STORE "/.#mctl.changes"

typedef enum Profile {
        PROFILE_DEFAULT,
        PROFILE_NESTING,    /* container managers run inside */
        PROFILE_STRICT,     /* without the kernel interfaces that are attacked most */
        PROFILE_PRIVILEGED, /* no filter, all capabilities, nothing hidden */
        _PROFILE_MAX,
} Profile;

typedef enum Volatile {
        VOLATILE_NO,
        VOLATILE_YES,     /* an empty root in memory, with the /usr of the image */
        VOLATILE_STATE,   /* the root read-only, an empty /var in memory */
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

/* The terminal of the first process, /dev/console, and who has the other side of it. */
typedef enum ConsoleMode {
        CONSOLE_AUTO,        /* pty for an init, pipe for a command */
        CONSOLE_PIPE,        /* no terminal: standard streams are those of the unit */
        CONSOLE_PTY,         /* the registry */
        CONSOLE_INTERACTIVE, /* who started the machine: it is sent over the socket that is standard input */
        _CONSOLE_MAX,
} ConsoleMode;

/* As Console= has it. */
const char *console_mode_to_string(ConsoleMode mode);

typedef struct ResourceLimit {
        bool set;
        uint64_t soft, hard; /* UINT64_MAX is infinity */
} ResourceLimit;

#define RLIMITS_MAX 16 /* RLIMIT_NLIMITS, numbered as there */

#define SETTINGS_MAX 96

typedef struct Spec {
        char *name; /* of the machine */

        /* [Image] */
        char *image; /* a name in the store, or an absolute path */

        /* [Exec] */
        bool boot, process_two;
        ConsoleMode console;
        Strv parameters;
        char *working_directory;
        Strv environment;
        char *user;
        int kill_signal; /* 0: what suits the payload */
        bool notify_ready;
        char *hostname; /* NULL: the machine's name */
        char *machine_id;
        PrivateUsers private_users;
        Profile profile;
        uint64_t capability, drop_capability, ambient_capability; /* masks */
        bool no_new_privileges;
        Strv system_call_filter; /* names and @groups, "~" in front of what is taken away */
        Personality personality;
        Strv sysctl; /* KEY=VALUE */
        ResourceLimit limits[RLIMITS_MAX];
        int oom_score_adjust; /* INT_MIN: as it is */
        char *cpu_affinity;   /* "0-3,7" */
        NumaPolicy numa_policy;
        char *numa_mask;
        ResolvConf resolv_conf;
        Timezone timezone;
        LinkJournal link_journal;
        Strv load_credential, set_credential; /* ID:PATH, ID:VALUE */

        /* [Files]; the lists hold entries in the forms of mount.h */
        bool read_only;
        char *root_hash; /* of a disk: in hexadecimal, signed, no, or auto, which NULL is as well */
        Volatile volatile_mode;
        Strv bind, bind_read_only, temporary_file_system, overlay, overlay_read_only, inaccessible;
        Strv device; /* PATH[:rwm] */

        /* [Network] */
        bool private_network;
        char *namespace_path;
        Strv interface; /* HOST[:INSIDE] */

        /* [Resources]: assignments KEY=VALUE to properties of the unit, as systemd.directives(7) spells them */
        Strv resources;

        /* [Unit], [Service] and [Install] of its files, as they stand, for systemd; not part of the JSON form */
        Strv unit_lines;

        bool reset[SETTINGS_MAX];        /* a list that was emptied before what is in it was assigned */
        SpecSource source[SETTINGS_MAX]; /* who assigned each setting last */
} Spec;

/* Whether a value of RootHash= is a root hash itself, of dm-verity. */
bool root_hash_is_hex(const char *value) _pure_;

typedef struct Setting Setting;

typedef struct SettingType SettingType;

/* How a kind of value is read and written. */
struct SettingType {
        const char *expects;       /* "a boolean", for errors and the man page */
        const char *argument;      /* how help names it; NULL for what may be left out on the command line */
        const char *const *values; /* of an enumeration, NULL-terminated */
        bool (*check)(const char *value); /* of a string, or of each in a list */
        bool list;                        /* assignments add up */
        int (*parse)(const SettingType *type, void *field, const char *value); /* -EINVAL, -ERANGE */
        json_t *(*to_json)(const SettingType *type,
                           const void *field); /* a new reference; json_null() for nothing */
        void (*clear)(void *field);
};

struct Setting {
        SpecSection section;
        const char *key;
        const SettingType *type;
        size_t offset;
        const char *option;  /* of the command line, without "--"; NULL for none */
        const char *initial; /* the default, as it would be assigned; NULL for an empty one */
        bool image_may;      /* a file that came with an image may assign it */
        const char *help;
};

extern const Setting settings[];
extern const size_t n_settings;

/* "Image", "Exec", … */
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

/* Whether an assignment is to a property that makes the unit a machine, and is not the user's to choose. */
bool spec_property_reserved(const char *assignment);

/* Adds "KEY=VALUE" to the properties of the unit; KEY must look like one. */
int spec_assign_resource(Spec *spec, const char *assignment, char **ret_error);

/* Appends DeviceAllow= for each device and for those of the profile. The launcher makes the nodes, so it needs "m" as
 * well. */
int spec_allow_devices(const Spec *spec, Strv *lines);

/* Appends DeviceAllow= for the devices that the launcher mounts disks with; no machine has nodes for these, or could make them, but one with
 * PrivateUsers=no. */
int spec_allow_disks(Strv *lines);

/* Appends what has the kernel know device mapper before the unit starts. */
int spec_need_device_mapper(Strv *lines);

/* Whether RootHash= demands something. */
bool spec_wants_hashes(const Spec *spec) _pure_;

/* Judges the whole, once everything is assigned: -EINVAL and a text. */
int spec_validate(const Spec *spec, char **ret_error);

/* Reads a machine file, or one of systemd-nspawn's (`nspawn`: without specifiers, and what it can say that is not
 * supported here is left out with a warning). `text` is changed. The first thing that is wrong stops the reading with
 * -EINVAL and a text that begins with "FILE:LINE: ". What is left out for another reason (an image may not say it) is
 * added to warnings. */
int spec_read_file(Spec *spec, SpecSource source, const char *file, bool nspawn, char *text, Strv *warnings,
                   char **ret_error);

/* The form of a machine file. With `all` false, only what was assigned by somebody. The caller frees it. -EINVAL for a
 * value that a file cannot hold: one with a blank at an end, or a backslash behind. */
int spec_to_text(const Spec *spec, bool all, char **ret);

/* The paths of all files that are about a machine, in the order in which they count. */
int spec_list_files(const char *name, Strv *ret);

/* The same for a file by its path; one of systemd-nspawn's is known by its name (".nspawn"). Returns 1, or 0 where there
 * is no such file. */
int spec_read_path(Spec *spec, SpecSource source, const char *path, Strv *warnings, char **ret_error);

/* Reads all files that are about the machine, in the order of mctl.machine(5). Returns 1 where there is a file of its
 * name, 0 where there is none. `image_file` is the one that came with the image, or NULL. */
int spec_load(Spec *spec, const char *image_file, Strv *warnings, char **ret_error);

/* The whole way from what was said to what counts: files, then the JSON text of the command line (or NULL), with the
 * file of the image that comes of that below all of it. Without a name, the machine is called like its image; without
 * an image, it has that of its name. The result has been judged. Returns as spec_load() does. */
int spec_merge(const char *name, const char *json, Spec **ret, Strv *warnings, char **ret_error);

/* Where machine files are, the more important place last; NULL-terminated. */
extern const char *const spec_machine_dirs[];
extern const char *const spec_nspawn_dirs[];

/* The main file of a machine; the caller frees the path. -ENOENT where it has none. */
int spec_find_file(const char *name, char **ret_path);

/* Replaces %i, %m, … by what they stand for. -EINVAL for an unknown one. */
int spec_expand(const Spec *spec, const char *value, char **ret);

#define SPEC_FILE_MAX (1024U * 1024U)

/* The JSON form, { "Name": …, "Exec": { "Boot": true, … }, …, "Resources": { … } }. With `all` false, only what was
 * assigned by somebody. Returns a new reference, NULL when out of memory. */
json_t *spec_to_json(const Spec *spec, bool all);
/* The same as text, which the caller frees; `flags` are Jansson's, for json_dumps(). */
char *spec_to_json_text(const Spec *spec, bool all, size_t flags);
int spec_from_json(Spec *spec, SpecSource source, json_t *json, char **ret_error);
int spec_from_json_text(Spec *spec, SpecSource source, const char *text, char **ret_error);

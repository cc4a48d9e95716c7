/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <sys/resource.h>

#include "basic/names.h"
#include "spec/image-ref.h"
#include "spec/mount.h"
#include "spec/spec.h"
#include "spec/types.h"

#define FIELD(f) offsetof(Spec, f)

/* The settings are in the order in which the man page, the help and JSON list them. */
#define LIMIT(name, resource, text)                                                                        \
        {                                                                                                  \
                SPEC_SECTION_EXEC, "Limit" name, &setting_type_limit, FIELD(limits[resource]), NULL, NULL, \
                        false, text                                                                        \
        }

const Setting settings[] = {
        { SPEC_SECTION_IMAGE, "Image", &setting_type_string, FIELD(image), NULL, NULL, false,
          "Name of an image in /var/lib/machines, or the absolute path of a directory" },

        { SPEC_SECTION_EXEC, "Boot", &setting_type_boolean, FIELD(boot), NULL, "yes", false,
          "Run the init system of the image" },
        { SPEC_SECTION_EXEC, "ProcessTwo", &setting_type_boolean, FIELD(process_two), "as-pid2", "no", false,
          "Run the command below a small init" },
        { SPEC_SECTION_EXEC, "Console", &setting_type_console, FIELD(console), NULL, "auto", false,
          "Terminal of the first process: pty, pipe, interactive, auto" },
        { SPEC_SECTION_EXEC, "Parameters", &setting_type_words, FIELD(parameters), NULL, NULL, true,
          "Arguments of the init, or the command and its arguments" },
        { SPEC_SECTION_EXEC, "WorkingDirectory", &setting_type_path, FIELD(working_directory), "chdir", NULL,
          true, "Directory inside that the command starts in" },
        { SPEC_SECTION_EXEC, "Environment", &setting_type_environment, FIELD(environment), "setenv", NULL,
          true, "Set an environment variable of the first process" },
        { SPEC_SECTION_EXEC, "User", &setting_type_user, FIELD(user), "uid", NULL, true,
          "User inside that the command runs as" },
        { SPEC_SECTION_EXEC, "KillSignal", &setting_type_signal, FIELD(kill_signal), "kill-signal", NULL,
          true, "Signal that asks the first process to end (an init: SIGRTMIN+4)" },
        { SPEC_SECTION_EXEC, "NotifyReady", &setting_type_boolean, FIELD(notify_ready), "notify-ready",
          "yes", false, "Wait until the init says that the system is up" },
        { SPEC_SECTION_EXEC, "Hostname", &setting_type_hostname, FIELD(hostname), "hostname", NULL, false,
          "Host name inside (the machine's name)" },
        { SPEC_SECTION_EXEC, "MachineID", &setting_type_id128, FIELD(machine_id), "uuid", NULL, false,
          "Machine ID for a system that has none yet" },
        { SPEC_SECTION_EXEC, "PrivateUsers", &setting_type_users, FIELD(private_users), "private-users",
          "pick", false, "User namespace: pick, identity, no, or BASE[:SIZE]" },
        { SPEC_SECTION_EXEC, "Profile", &setting_type_profile, FIELD(profile), "profile", "default", false,
          "Access to the kernel: default, nesting, strict, privileged" },
        { SPEC_SECTION_EXEC, "Capability", &setting_type_capabilities, FIELD(capability), "capability", NULL,
          false, "Additional capabilities of the machine" },
        { SPEC_SECTION_EXEC, "DropCapability", &setting_type_capabilities, FIELD(drop_capability),
          "drop-capability", NULL, false, "Capabilities to take from the machine" },
        { SPEC_SECTION_EXEC, "AmbientCapability", &setting_type_capabilities, FIELD(ambient_capability),
          "ambient-capability", NULL, false, "Capabilities of a command that does not run as root" },
        { SPEC_SECTION_EXEC, "NoNewPrivileges", &setting_type_boolean, FIELD(no_new_privileges),
          "no-new-privileges", "no", false, "Prevent programs inside from gaining privileges" },
        { SPEC_SECTION_EXEC, "SystemCallFilter", &setting_type_system_calls, FIELD(system_call_filter),
          "system-call-filter", NULL, false, "System calls to allow, or to refuse (~CALL)" },
        { SPEC_SECTION_EXEC, "Personality", &setting_type_personality, FIELD(personality), "personality",
          "native", false, "Architecture that uname(2) reports inside" },
        { SPEC_SECTION_EXEC, "Sysctl", &setting_type_sysctl, FIELD(sysctl), "sysctl", NULL, false,
          "Set a kernel parameter of the machine's own namespaces" },
        LIMIT("CPU", RLIMIT_CPU, "Processor time of a process, in seconds"),
        LIMIT("FSIZE", RLIMIT_FSIZE, "Size of a file"),
        LIMIT("DATA", RLIMIT_DATA, "Data of a process"),
        LIMIT("STACK", RLIMIT_STACK, "Stack of a process"),
        LIMIT("CORE", RLIMIT_CORE, "Size of a core dump"),
        LIMIT("RSS", RLIMIT_RSS, "Resident memory of a process"),
        LIMIT("NOFILE", RLIMIT_NOFILE, "Open files of a process"),
        LIMIT("AS", RLIMIT_AS, "Address space of a process"),
        LIMIT("NPROC", RLIMIT_NPROC, "Processes of a user"),
        LIMIT("MEMLOCK", RLIMIT_MEMLOCK, "Locked memory of a process"),
        LIMIT("LOCKS", RLIMIT_LOCKS, "File locks of a process"),
        LIMIT("SIGPENDING", RLIMIT_SIGPENDING, "Pending signals of a user"),
        LIMIT("MSGQUEUE", RLIMIT_MSGQUEUE, "Message queues of a user, in bytes"),
        LIMIT("NICE", RLIMIT_NICE, "Highest priority, as 20 less the nice value"),
        LIMIT("RTPRIO", RLIMIT_RTPRIO, "Highest real-time priority"),
        LIMIT("RTTIME", RLIMIT_RTTIME, "Real-time processor time without a break, in µs"),
        { SPEC_SECTION_EXEC, "OOMScoreAdjust", &setting_type_oom_score, FIELD(oom_score_adjust),
          "oom-score-adjust", NULL, false, "How likely the machine is killed when memory is short" },
        { SPEC_SECTION_EXEC, "CPUAffinity", &setting_type_cpu_list, FIELD(cpu_affinity), "cpu-affinity",
          NULL, false, "Processors that the machine runs on" },
        { SPEC_SECTION_EXEC, "NUMAPolicy", &setting_type_numa_policy, FIELD(numa_policy), "numa-policy",
          "default", false, "How memory is spread over nodes" },
        { SPEC_SECTION_EXEC, "NUMAMask", &setting_type_cpu_list, FIELD(numa_mask), "numa-mask", NULL, false,
          "Nodes for NUMAPolicy=" },
        { SPEC_SECTION_EXEC, "ResolvConf", &setting_type_resolv_conf, FIELD(resolv_conf), "resolv-conf",
          "auto", false, "Where /etc/resolv.conf comes from" },
        { SPEC_SECTION_EXEC, "Timezone", &setting_type_timezone, FIELD(timezone), "timezone", "auto", false,
          "Where /etc/localtime comes from" },
        { SPEC_SECTION_EXEC, "LinkJournal", &setting_type_link_journal, FIELD(link_journal), "link-journal",
          "auto", false, "Show the machine's journal beside the host's: guest, host, no, auto" },
        { SPEC_SECTION_EXEC, "LoadCredential", &setting_type_credential_file, FIELD(load_credential),
          "load-credential", NULL, false, "Pass a file on as a credential" },
        { SPEC_SECTION_EXEC, "SetCredential", &setting_type_credential_value, FIELD(set_credential),
          "set-credential", NULL, false, "Pass a value on as a credential" },

        { SPEC_SECTION_FILES, "ReadOnly", &setting_type_boolean, FIELD(read_only), "read-only", "no", false,
          "Make the root read-only" },
        { SPEC_SECTION_FILES, "RootHash", &setting_type_root_hash, FIELD(root_hash), "root-hash", "auto",
          false, "Root hash that a disk must have: HEX, signed, no, auto" },
        { SPEC_SECTION_FILES, "Volatile", &setting_type_volatile, FIELD(volatile_mode), "volatile", "no",
          false, "Keep no changes: no, yes, state, overlay, disk" },
        { SPEC_SECTION_FILES, "Bind", &setting_type_bind, FIELD(bind), "bind", NULL, false,
          "Show a file or directory of the host inside" },
        { SPEC_SECTION_FILES, "BindReadOnly", &setting_type_bind, FIELD(bind_read_only), "bind-ro", NULL,
          false, "Show a file or directory of the host inside, read-only" },
        { SPEC_SECTION_FILES, "TemporaryFileSystem", &setting_type_tmpfs, FIELD(temporary_file_system),
          "tmpfs", NULL, false, "Mount an empty file system in memory" },
        { SPEC_SECTION_FILES, "Overlay", &setting_type_overlay, FIELD(overlay), "overlay", NULL, false,
          "Mount directories of the host on top of each other" },
        { SPEC_SECTION_FILES, "OverlayReadOnly", &setting_type_overlay, FIELD(overlay_read_only),
          "overlay-ro", NULL, false, "Mount directories of the host on top of each other, read-only" },
        { SPEC_SECTION_FILES, "Inaccessible", &setting_type_path_list, FIELD(inaccessible), "inaccessible",
          NULL, false, "Hide a file or directory" },
        { SPEC_SECTION_FILES, "Device", &setting_type_device, FIELD(device), "device", NULL, false,
          "Give a device of the host to the machine" },

        { SPEC_SECTION_NETWORK, "Private", &setting_type_boolean, FIELD(private_network), "private-network",
          "yes", false, "Give the machine a network of its own" },
        { SPEC_SECTION_NETWORK, "NamespacePath", &setting_type_path, FIELD(namespace_path),
          "network-namespace-path", NULL, false, "Join the network namespace behind this file" },
        { SPEC_SECTION_NETWORK, "Interface", &setting_type_interface, FIELD(interface), "network-interface",
          NULL, false, "Move an interface of the host into the machine" },
};
const size_t n_settings = ELEMENTSOF(settings);
static_assert(ELEMENTSOF(settings) <= SETTINGS_MAX, "Spec.source[] is too short");
static_assert(RLIM_NLIMITS == RLIMITS_MAX, "Spec.limits[] is not as long as the kernel's");

static const char *const section_names[_SPEC_SECTION_MAX] = {
        [SPEC_SECTION_IMAGE] = "Image",
        [SPEC_SECTION_EXEC] = "Exec",
        [SPEC_SECTION_FILES] = "Files",
        [SPEC_SECTION_NETWORK] = "Network",
};

const char *spec_section_name(SpecSection section)
{
        return section_names[section];
}

const Setting *setting_find(SpecSection section, const char *key)
{
        for (size_t i = 0; i < n_settings; i++)
                if (settings[i].section == section && streq(settings[i].key, key))
                        return settings + i;
        return NULL;
}

static void *setting_field(const Setting *setting, const Spec *spec)
{
        return (uint8_t *) spec + setting->offset;
}

/* Defaults are constants of the table, so -ENOMEM is the only error. */
static int setting_reset(const Setting *setting, Spec *spec)
{
        setting->type->clear(setting_field(setting, spec));
        return setting->initial
                       ? setting->type->parse(setting->type, setting_field(setting, spec), setting->initial)
                       : 0;
}

Spec *spec_new(const char *name)
{
        _cleanup_spec_ Spec *spec = calloc(1, sizeof(Spec));

        if (!spec)
                return NULL;
        if (free_and_strdup(&spec->name, name) < 0)
                return NULL;
        for (size_t i = 0; i < n_settings; i++)
                if (setting_reset(settings + i, spec) < 0)
                        return NULL;
        return TAKE_PTR(spec);
}

void spec_free(Spec *spec)
{
        for (size_t i = 0; i < n_settings; i++)
                settings[i].type->clear(setting_field(settings + i, spec));
        strv_free(spec->resources);
        strv_free(spec->unit_lines);
        free(spec->name);
        free(spec);
}

int spec_assign(Spec *spec, const Setting *setting, SpecSource source, const char *value, char **ret_error)
{
        int r;

        if (isempty(value)) {
                r = setting_reset(setting, spec);
                spec->reset[setting - settings] = true;
        } else
                r = setting->type->parse(setting->type, setting_field(setting, spec), value);
        if (r == -EINVAL || r == -ERANGE) {
                _cleanup_free_ char *shown = str_escape(value);
                return set_invalid(ret_error, "Invalid value '%.80s' for %s=: expected %s.", strna(shown),
                                   setting->key, setting->type->expects);
        }
        if (r >= 0)
                spec->source[setting - settings] = source;
        return r;
}

bool spec_property_reserved(const char *assignment)
{
        static const char *const reserved[] = {
                "Type",
                "NotifyAccess",
                "Delegate",
                "KillMode",
                "RuntimeDirectory",
                "RuntimeDirectoryMode",
                "RuntimeDirectoryPreserve",
                "ExecStart",
                "User",
                "Group",
                "DynamicUser",
                "RemainAfterExit",
                "GuessMainPID",
                "PIDFile",
                "BusName",
                "RootDirectory",
                "RootImage",
                "PrivateUsers",
        };
        size_t n = strcspn(assignment, "= \t");

        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (strlen(reserved[i]) == n && strncmp(assignment, reserved[i], n) == 0)
                        return true;
        return false;
}

int spec_assign_resource(Spec *spec, const char *assignment, char **ret_error)
{
        size_t n = strcspn(assignment, "=");
        bool valid = n > 0 && assignment[n] == '=' && isupper((unsigned char) assignment[0]) &&
                     str_is_clean(assignment);

        for (size_t i = 0; i < n; i++)
                valid = valid && isalnum((unsigned char) assignment[i]);
        if (!valid) {
                _cleanup_free_ char *shown = str_escape(assignment);
                return set_invalid(
                        ret_error,
                        "Invalid assignment '%.80s': expected PROPERTY=VALUE with a property of a unit, "
                        "such as MemoryMax=1G.",
                        strna(shown));
        }
        if (spec_property_reserved(assignment))
                return set_invalid(ret_error, "Property %.*s= makes the unit a machine; it cannot be set.",
                                   (int) n, assignment);
        return strv_append(&spec->resources, assignment);
}

/* Returns a message about settings that contradict each other or cannot work, or NULL. */
static const char *find_contradiction(const Spec *spec)
{
        if (!spec->boot && strv_length(spec->parameters) == 0)
                return "There is no command: Boot=no needs one, in Parameters= or on the command line.";
        if (spec->boot &&
            (spec->user || spec->working_directory || spec->process_two || spec->ambient_capability))
                return "User=, WorkingDirectory=, ProcessTwo= and AmbientCapability= are for commands, "
                       "not for an init "
                       "(Boot=no).";
        if (spec->boot && spec->console == CONSOLE_INTERACTIVE)
                return "Console=interactive is for commands, not for an init (Boot=no).";
        if (spec->boot && spec->no_new_privileges)
                return "NoNewPrivileges=yes is for commands, not for an init (Boot=no).";
        if (spec->boot && !spec->private_network && spec->private_users.mode != USERS_HOST)
                return "Private=no needs PrivateUsers=no: a system cannot manage a network that belongs "
                       "to another user "
                       "namespace.";
        if (!spec->private_network && (spec->namespace_path || spec->interface))
                return "NamespacePath= and Interface= need Private=yes.";
        if (spec->namespace_path && spec->interface)
                return "Interface= goes into a network of the machine's own, not into that of "
                       "NamespacePath=.";
        if (spec->profile == PROFILE_PRIVILEGED && (spec->system_call_filter || spec->no_new_privileges))
                return "Profile=privileged has no filter to be changed.";
        if (spec->read_only &&
            (spec->volatile_mode == VOLATILE_YES || spec->volatile_mode == VOLATILE_STATE))
                return "ReadOnly=yes and Volatile= contradict each other.";
        STRV_FOREACH (s, spec->sysctl)
                if (startswith(*s, "net") && (!spec->private_network || spec->namespace_path))
                        return "Sysctl= of the network needs a network of the machine's own: "
                               "Private=yes, and no "
                               "NamespacePath=.";
        return NULL;
}

bool spec_wants_hashes(const Spec *spec)
{
        return spec->root_hash && !streq(spec->root_hash, "auto") && !streq(spec->root_hash, "no");
}

int spec_allow_disks(Strv *lines)
{
        /* The last two are for device mapper. 10:236 is /dev/mapper/control, which may not exist yet. */
        static const char *const devices[] = { "/dev/loop-control rw", "block-loop rw",
                                               "/dev/char/10:236 rw", "block-device-mapper r" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(devices) && r >= 0; i++)
                r = strv_appendf(lines, "DeviceAllow=%s", devices[i]);
        return r;
}

int spec_need_device_mapper(Strv *lines)
{
        int r = strv_append(lines, "Wants=modprobe@dm_mod.service");
        return r < 0 ? r : strv_append(lines, "After=modprobe@dm_mod.service");
}

int spec_allow_devices(const Spec *spec, Strv *lines)
{
        int r = 0;

        if (spec->profile == PROFILE_NESTING)
                r = strv_append(lines, "DeviceAllow=/dev/fuse rwm");
        if (r >= 0 && spec->profile == PROFILE_NESTING)
                r = strv_append(lines, "DeviceAllow=/dev/net/tun rwm");
        STRV_FOREACH (text, spec->device) {
                _cleanup_device_entry_ DeviceEntry entry = {};
                if (r >= 0)
                        r = device_entry_parse(*text, &entry);
                if (r >= 0)
                        r = strv_appendf(lines, "DeviceAllow=%s %s%s", entry.source, entry.permissions,
                                         strchr(entry.permissions, 'm') ? "" : "m");
        }
        return r;
}

int spec_validate(const Spec *spec, char **ret_error)
{
        const char *error = NULL;
        ImageRef ref;

        if (!machine_name_valid(strna(spec->name)))
                error = "The name of a machine has " MACHINE_NAME_RULE ".";
        else if (isempty(spec->image))
                error = "No image was given (Image=).";
        else if (image_ref_parse(spec->image, &ref) < 0 ||
                 (ref.kind == IMAGE_REF_PATH && spec->image[0] != '/'))
                error = "Image= takes the name of an image, an absolute path, or a reference of an OCI "
                        "image.";
        else
                error = find_contradiction(spec);
        return error ? set_invalid(ret_error, "%s", error) : 0;
}

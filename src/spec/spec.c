/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "basic/names.h"
#include "spec/spec.h"
#include "spec/types.h"

#define FIELD(f) offsetof(Spec, f)

/* In the order in which man page, help and JSON list them. */
const Setting settings[] = {
        { SPEC_SECTION_IMAGE, "Image", &setting_type_string, FIELD(image), NULL, NULL,
          "Name of an image in /var/lib/machines, or the absolute path of a directory" },
        { SPEC_SECTION_EXEC, "Boot", &setting_type_boolean, FIELD(boot), NULL, "yes",
          "Run the init system of the image" },
        { SPEC_SECTION_EXEC, "Parameters", &setting_type_words, FIELD(parameters), NULL, NULL,
          "Arguments of the init, or the command and its arguments" },
        { SPEC_SECTION_EXEC, "Environment", &setting_type_environment, FIELD(environment), "setenv", NULL,
          "Set an environment variable of the first process" },
        { SPEC_SECTION_EXEC, "KillSignal", &setting_type_signal, FIELD(kill_signal), "kill-signal", NULL,
          "Signal that asks the first process to end (an init: SIGRTMIN+4)" },
        { SPEC_SECTION_EXEC, "Hostname", &setting_type_hostname, FIELD(hostname), "hostname", NULL,
          "Host name inside (the machine's name)" },
        { SPEC_SECTION_EXEC, "MachineID", &setting_type_id128, FIELD(machine_id), "uuid", NULL,
          "Machine ID for a system that has none yet" },
        { SPEC_SECTION_EXEC, "NotifyReady", &setting_type_boolean, FIELD(notify_ready), "notify-ready", "yes",
          "Wait until the init says that the system is up" },
        { SPEC_SECTION_EXEC, "PrivateUsers", &setting_type_users, FIELD(private_users), "private-users", "pick",
          "User namespace: pick, identity, no, or BASE[:SIZE]" },
        { SPEC_SECTION_FILES, "ReadOnly", &setting_type_boolean, FIELD(read_only), "read-only", "no",
          "Make the root read-only" },
        { SPEC_SECTION_NETWORK, "Private", &setting_type_boolean, FIELD(private_network), "private-network", "yes",
          "Give the machine a network of its own" },
};
const size_t n_settings = ELEMENTSOF(settings);
static_assert(ELEMENTSOF(settings) <= SETTINGS_MAX, "Spec.source[] is too short");

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

/* Defaults are our own constants: only memory can be short. */
static int setting_reset(const Setting *setting, Spec *spec)
{
        setting->type->clear(setting_field(setting, spec));
        return setting->initial ? setting->type->parse(setting_field(setting, spec), setting->initial) : 0;
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
        free(spec->name);
        free(spec);
}

int spec_assign(Spec *spec, const Setting *setting, SpecSource source, const char *value, char **ret_error)
{
        int r;

        if (isempty(value))
                r = setting_reset(setting, spec);
        else
                r = setting->type->parse(setting_field(setting, spec), value);
        if (r == -EINVAL || r == -ERANGE) {
                _cleanup_free_ char *shown = str_escape(value);
                *ret_error = strf("Invalid value '%.80s' for %s=: expected %s.", strna(shown), setting->key,
                                  setting->type->expects);
                return *ret_error ? -EINVAL : -ENOMEM;
        }
        if (r >= 0)
                spec->source[setting - settings] = source;
        return r;
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
                *ret_error = strf("Invalid assignment '%.80s': expected PROPERTY=VALUE with a property of a unit, "
                                  "such as MemoryMax=1G.", strna(shown));
                return *ret_error ? -EINVAL : -ENOMEM;
        }
        return strv_append(&spec->resources, assignment);
}

int spec_validate(const Spec *spec, char **ret_error)
{
        const char *error = NULL;

        if (!machine_name_valid(strna(spec->name)))
                error = "The name of a machine has " MACHINE_NAME_RULE ".";
        else if (isempty(spec->image))
                error = "No image was given (Image=).";
        else if (spec->image[0] != '/' && !image_name_valid(spec->image))
                error = "Image= takes the name of an image or an absolute path.";
        else if (!spec->boot && strv_length(spec->parameters) == 0)
                error = "Boot=no needs a command in Parameters=.";
        else if (spec->boot && !spec->private_network && spec->private_users.mode != USERS_HOST)
                error = "Private=no needs PrivateUsers=no: a system cannot manage a network that belongs to "
                        "another user namespace.";
        if (!error)
                return 0;
        *ret_error = strdup(error);
        return *ret_error ? -EINVAL : -ENOMEM;
}

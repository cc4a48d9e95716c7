/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/cdi.h"

#include <dirent.h>

#include "basic/fd.h"
#include "spec/cdi-name.h"

#define CDI_FILE_MAX (4U * 1024U * 1024U)

/* The first directory that has the device counts. */
static const char *const cdi_dirs[] = { "/var/run/cdi", "/etc/cdi" };

/* In an entry, a colon separates the paths. */
static int check_path(const char *path, char **ret_error)
{
        return strchr(path, ':')
                       ? set_invalid(ret_error, "The path '%s' has a colon, which cannot be said.", path)
                       : 0;
}

static int assign(Spec *spec, const char *section_key, SpecSection section, const char *value,
                  char **ret_error)
{
        return spec_assign(spec, setting_find(section, section_key), SPEC_SOURCE_FILE, value, ret_error);
}

static int add_node(Spec *spec, const json_t *node, char **ret_error)
{
        const char *path = json_string_value(json_object_get(node, "path"));
        const char *host_path = json_string_value(json_object_get(node, "hostPath"));
        const char *permissions = json_string_value(json_object_get(node, "permissions"));
        int r;

        if (!path)
                return set_invalid(ret_error, "A device node has no path.");
        r = check_path(path, ret_error);
        if (r >= 0 && host_path)
                r = check_path(host_path, ret_error);
        if (r < 0)
                return r;
        _cleanup_free_ char *entry = strf("%s:%s:%s", host_path ?: path, path, permissions ?: "rwm");
        return entry ? assign(spec, "Device", SPEC_SECTION_FILES, entry, ret_error) : -ENOMEM;
}

static int add_mount(Spec *spec, const json_t *mount, char **ret_error)
{
        const char *source = json_string_value(json_object_get(mount, "hostPath"));
        const char *target = json_string_value(json_object_get(mount, "containerPath"));
        const json_t *option;
        bool read_only = false;
        size_t i;
        int r;

        if (!source || !target)
                return set_invalid(ret_error, "A mount has no hostPath or no containerPath.");
        r = check_path(source, ret_error);
        if (r >= 0)
                r = check_path(target, ret_error);
        if (r < 0)
                return r;
        json_array_foreach (json_object_get(mount, "options"), i, option)
                read_only = read_only || streq_ptr(json_string_value(option), "ro");

        /* Root of the host owns the libraries of a driver. Without an ID map, their owner is nobody in the
         * machine, so the machine cannot change them. */
        _cleanup_free_ char *entry = strf("%s:%s:noidmap", source, target);
        return entry ? assign(spec, read_only ? "BindReadOnly" : "Bind", SPEC_SECTION_FILES, entry,
                              ret_error)
                     : -ENOMEM;
}

static int apply_edits(Spec *spec, const json_t *edits, char **ret_error)
{
        const json_t *element;
        size_t i;
        int r;

        json_array_foreach (json_object_get(edits, "env"), i, element) {
                const char *text = json_string_value(element);
                _cleanup_free_ char *name = text ? strndup(text, strcspn(text, "=")) : NULL;

                if (!name)
                        return set_invalid(ret_error, "An environment variable is no string.");
                /* An assignment by the user overrides that of the device. */
                if (strv_env_get(spec->environment, name))
                        continue;
                r = assign(spec, "Environment", SPEC_SECTION_EXEC, text, ret_error);
                if (r < 0)
                        return r;
        }
        json_array_foreach (json_object_get(edits, "deviceNodes"), i, element) {
                r = add_node(spec, element, ret_error);
                if (r < 0)
                        return r;
        }
        json_array_foreach (json_object_get(edits, "mounts"), i, element) {
                r = add_mount(spec, element, ret_error);
                if (r < 0)
                        return r;
        }
        if (json_array_size(json_object_get(edits, "hooks")) > 0)
                return set_invalid(ret_error, "It has hooks, which are not supported.");
        return 0;
}

/* Returns 1 if the file has the device, else 0. */
static int apply_file(Spec *spec, const json_t *file, const char *name, char **ret_error)
{
        const char *kind = json_string_value(json_object_get(file, "kind"));
        const char *rest = kind ? startswith(name, kind) : NULL;
        const json_t *device;
        size_t i;
        int r;

        if (!rest || *rest != '=')
                return 0;
        json_array_foreach (json_object_get(file, "devices"), i, device)
                if (streq_ptr(json_string_value(json_object_get(device, "name")), rest + 1)) {
                        r = apply_edits(spec, json_object_get(file, "containerEdits"), ret_error);
                        if (r >= 0)
                                r = apply_edits(spec, json_object_get(device, "containerEdits"), ret_error);
                        return r < 0 ? r : 1;
                }
        return 0;
}

static int is_json(const struct dirent *e)
{
        return e->d_name[0] != '.' && endswith(e->d_name, ".json");
}

static int search_dir(Spec *spec, const char *dir, const char *name, char **ret_error)
{
        struct dirent **entries;
        int n, r = 0;

        n = scandir(dir, &entries, is_json, alphasort);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = strf("%s/%s", dir, entries[i]->d_name), *text = NULL;
                json_t *json = NULL;

                free(entries[i]);
                if (r != 0)
                        continue;
                if (path && file_read_at(AT_FDCWD, path, CDI_FILE_MAX, &text, NULL) >= 0)
                        json = json_loads(text, 0, NULL);
                r = apply_file(spec, json, name, ret_error);
                json_decref(json);
        }
        if (n >= 0)
                free(entries);
        return r;
}

static int apply_name(Spec *spec, const char *name, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(cdi_dirs) && r == 0; i++)
                r = search_dir(spec, cdi_dirs[i], name, &error);
        if (r == 0)
                return set_invalid(ret_error, "No file in /etc/cdi or /var/run/cdi knows the device '%s'.",
                                   name);
        return error ? set_invalid(ret_error, "Device '%s': %s", name, error) : MIN(r, 0);
}

int cdi_expand(Spec *spec, char **ret_error)
{
        _cleanup_strv_ Strv said = TAKE_PTR(spec->device);
        int r = 0;

        STRV_FOREACH (device, said)
                if (r >= 0)
                        r = cdi_name_valid(*device) ? apply_name(spec, *device, ret_error)
                                                    : strv_append(&spec->device, *device);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/mount.h"

#define PARTS_MAX 64U

void mount_entry_clear(MountEntry *entry)
{
        free(entry->source);
        free(entry->target);
        free(entry->options);
        strv_free(entry->lower);
        *entry = (MountEntry){};
}

bool path_is_normal(const char *path)
{
        if (path[0] != '/' || !str_is_clean(path))
                return false;
        for (const char *p = path + 1; *p;) {
                size_t n = strcspn(p, "/");
                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                p += n + (p[n] == '/');
                /* A slash at the end is no harm. */
        }
        return true;
}

static int split_colons(const char *s, Strv *ret)
{
        _cleanup_strv_ Strv parts = NULL;
        _cleanup_free_ char *part = malloc(strlen(s) + 1);
        size_t n = 0;

        OOM_CHECK(part);
        for (;; s++) {
                if (*s == '\\' && (s[1] == ':' || s[1] == '\\'))
                        part[n++] = *++s;
                else if (*s && *s != ':')
                        part[n++] = *s;
                else {
                        part[n] = 0;
                        n = 0;
                        int r = strv_length(parts) < PARTS_MAX ? strv_append(&parts, part) : -EINVAL;
                        if (r < 0)
                                return r;
                        if (!*s)
                                break;
                }
        }
        *ret = TAKE_PTR(parts);
        return 0;
}

/* Takes "-" and "+" off a source. */
static const char *source_flags(const char *s, MountEntry *entry)
{
        for (; *s == '-' || *s == '+'; s++)
                *(*s == '-' ? &entry->optional : &entry->in_image) = true;
        return s;
}

static int parse_bind_options(const char *s, MountEntry *entry)
{
        static const struct {
                const char *name;
                IdMap id_map;
        } maps[] = {
                { "idmap", ID_MAP_AUTO },
                { "noidmap", ID_MAP_NONE },
                { "rootidmap", ID_MAP_ROOT },
                { "owneridmap", ID_MAP_OWNER },
        };
        _cleanup_free_ char *copy = strdup(s);

        OOM_CHECK(copy);
        for (char *state, *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state)) {
                bool known = streq(word, "rbind") || streq(word, "norbind");
                if (known)
                        entry->recursive = word[0] == 'r';
                for (size_t i = 0; i < ELEMENTSOF(maps) && !known; i++)
                        if (streq(word, maps[i].name)) {
                                entry->id_map = maps[i].id_map;
                                known = true;
                        }
                if (!known)
                        return -EINVAL;
        }
        return 0;
}

int mount_entry_parse_bind(const char *s, MountEntry *ret)
{
        _cleanup_mount_entry_ MountEntry entry = { .recursive = true };
        _cleanup_strv_ Strv parts = NULL;
        int r;

        r = split_colons(source_flags(s, &entry), &parts);
        if (r < 0)
                return r;
        size_t n = strv_length(parts);
        if (n > 3 || (!parts[0][0] && n < 2) || (parts[0][0] && !path_is_normal(parts[0])))
                return -EINVAL;
        if (n > 1 && parts[1][0] && !path_is_normal(parts[1]))
                return -EINVAL;
        if (n > 2) {
                r = parse_bind_options(parts[2], &entry);
                if (r < 0)
                        return r;
        }
        entry.source = strdup(parts[0]);
        entry.target = strdup(n > 1 && parts[1][0] ? parts[1] : parts[0]);
        if (!entry.source || !entry.target)
                return -ENOMEM;
        if (streq(entry.target, "/") || !entry.target[0])
                return -EINVAL;
        *ret = entry;
        entry = (MountEntry){};
        return 0;
}

int mount_entry_parse_tmpfs(const char *s, MountEntry *ret)
{
        _cleanup_mount_entry_ MountEntry entry = {};
        _cleanup_strv_ Strv parts = NULL;
        int r;

        r = split_colons(s, &parts);
        if (r < 0)
                return r;
        size_t n = strv_length(parts);
        if (n > 2 || !path_is_normal(parts[0]) || streq(parts[0], "/"))
                return -EINVAL;
        entry.target = strdup(parts[0]);
        entry.options = strdup(n > 1 ? parts[1] : "");
        if (!entry.target || !entry.options)
                return -ENOMEM;
        *ret = entry;
        entry = (MountEntry){};
        return 0;
}

int mount_entry_parse_overlay(const char *s, bool read_only, MountEntry *ret)
{
        _cleanup_mount_entry_ MountEntry entry = {};
        _cleanup_strv_ Strv parts = NULL;
        int r;

        r = split_colons(s, &parts);
        if (r < 0)
                return r;

        /* With two parts, the upper one is the target as well. */
        size_t n = strv_length(parts), n_layers = n > 2 ? n - 1 : n;
        if (n < 2 || streq(parts[n - 1], "/"))
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (!path_is_normal(parts[i]))
                        return -EINVAL;

        for (size_t i = read_only ? n_layers : n_layers - 1; i > 0;
             i--) { /* the last that is written lies on top */
                r = strv_append(&entry.lower, parts[i - 1]);
                if (r < 0)
                        return r;
        }
        entry.source = read_only ? NULL : strdup(parts[n_layers - 1]);
        entry.target = strdup(parts[n - 1]);
        if ((!read_only && !entry.source) || !entry.target)
                return -ENOMEM;
        *ret = entry;
        entry = (MountEntry){};
        return 0;
}

void device_entry_clear(DeviceEntry *entry)
{
        free(entry->source);
        free(entry->target);
        *entry = (DeviceEntry){};
}

static bool permissions_valid(const char *s)
{
        return *s && strlen(s) <= 3 && strspn(s, "rwm") == strlen(s);
}

int device_entry_parse(const char *s, DeviceEntry *ret)
{
        _cleanup_device_entry_ DeviceEntry entry = { .permissions = "rwm" };
        _cleanup_strv_ Strv parts = NULL;
        int r;

        r = split_colons(s, &parts);
        if (r < 0)
                return r;
        size_t n = strv_length(parts);
        bool has_permissions = n > 1 && parts[n - 1][0] != '/';

        if (n > 3 || (n == 3 && !has_permissions) || !path_is_normal(parts[0]))
                return -EINVAL;
        if (has_permissions) {
                if (!permissions_valid(parts[n - 1]))
                        return -EINVAL;
                snprintf(entry.permissions, sizeof(entry.permissions), "%s", parts[n - 1]);
        }
        const char *target = n - has_permissions > 1 ? parts[1] : parts[0];
        if (!path_is_normal(target) || !startswith(target, "/dev/"))
                return -EINVAL;
        entry.source = strdup(parts[0]);
        entry.target = strdup(target);
        if (!entry.source || !entry.target)
                return -ENOMEM;
        *ret = entry;
        entry = (DeviceEntry){};
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/mount.h"

#include <sys/mount.h>

#include "basic/parse.h"

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
                /* A slash at the end is allowed. */
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

/* Reads "-" and "+" in front of a source, and returns the rest. */
static const char *source_flags(const char *s, MountEntry *entry)
{
        for (; *s == '-' || *s == '+'; s++)
                *(*s == '-' ? &entry->optional : &entry->in_image) = true;
        return s;
}

/* The flags of mount(8) (section FILESYSTEM-INDEPENDENT MOUNT OPTIONS), and the attributes that each sets
 * and clears. Words that begin with "x-" are for other programs. */
static bool parse_flag(const char *word, MountEntry *entry)
{
        static const struct {
                const char *name;
                unsigned set, clear;
        } flags[] = {
                { "ro", MOUNT_ATTR_RDONLY, 0 },
                { "rw", 0, MOUNT_ATTR_RDONLY },
                { "nosuid", MOUNT_ATTR_NOSUID, 0 },
                { "suid", 0, MOUNT_ATTR_NOSUID },
                { "nodev", MOUNT_ATTR_NODEV, 0 },
                { "dev", 0, MOUNT_ATTR_NODEV },
                { "noexec", MOUNT_ATTR_NOEXEC, 0 },
                { "exec", 0, MOUNT_ATTR_NOEXEC },
                { "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
                { "diratime", 0, MOUNT_ATTR_NODIRATIME },
                { "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0 },
                { "symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW },
                { "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME },
                { "strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME },
                { "relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME },
                { "atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME },
                { "defaults", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (streq(word, flags[i].name)) {
                        entry->attr = (entry->attr & ~flags[i].clear) | flags[i].set;
                        return true;
                }
        return startswith(word, "x-") || startswith(word, "X-");
}

/* "shared" is not supported, since mounts of a machine must never reach the host. */
static bool parse_propagation(const char *word, MountEntry *entry)
{
        if (streq(word, "private") || streq(word, "rprivate"))
                entry->propagation = MS_PRIVATE;
        else if (streq(word, "slave") || streq(word, "rslave"))
                entry->propagation = MS_SLAVE;
        else
                return false;
        return true;
}

static bool parse_id_map(const char *word, MountEntry *entry)
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

        for (size_t i = 0; i < ELEMENTSOF(maps); i++)
                if (streq(word, maps[i].name)) {
                        entry->id_map = maps[i].id_map;
                        return true;
                }
        return false;
}

static bool parse_recursion(const char *word, MountEntry *entry)
{
        bool recursive = streq(word, "rbind");

        if (!recursive && !streq(word, "norbind") && !streq(word, "bind"))
                return false;
        entry->recursive = recursive;
        return true;
}

static bool parse_bind_option(const char *word, MountEntry *entry)
{
        return parse_flag(word, entry) || parse_propagation(word, entry) || parse_id_map(word, entry) ||
               parse_recursion(word, entry);
}

bool mount_option_is_of_bind(const char *word)
{
        MountEntry entry = {};

        return parse_bind_option(word, &entry);
}

static int parse_bind_options(const char *s, MountEntry *entry)
{
        _cleanup_free_ char *copy = strdup(s);

        OOM_CHECK(copy);
        for (char *state, *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state))
                if (!parse_bind_option(word, entry))
                        return -EINVAL;
        return 0;
}

/* uid= and gid= are users and groups of the machine. Options for the kernel are appended to `others`. */
static int parse_tmpfs_option(char *word, MountEntry *entry, Strv *others)
{
        static const char *const keys[] = { "size", "mode", "nr_inodes", "nr_blocks", "huge", "mpol" };
        const char *value = strchr(word, '=');
        uint64_t id;

        if (parse_flag(word, entry))
                return 0;
        if (!value++)
                return streq(word, "noswap") || streq(word, "inode64") || streq(word, "inode32")
                               ? strv_append(others, word)
                               : -EINVAL;
        if (startswith(word, "uid=") || startswith(word, "gid=")) {
                if (parse_u64(value, 0, UINT32_MAX - 1, &id) < 0)
                        return -EINVAL;
                *(word[0] == 'u' ? &entry->uid : &entry->gid) = (uid_t) id;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (*value && (size_t) (value - word - 1) == strlen(keys[i]) && startswith(word, keys[i]))
                        return strv_append(others, word);
        return -EINVAL;
}

static int parse_tmpfs_options(const char *s, MountEntry *entry)
{
        _cleanup_free_ char *copy = strdup(s);
        _cleanup_strv_ Strv others = NULL;

        OOM_CHECK(copy);
        for (char *state, *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state)) {
                int r = parse_tmpfs_option(word, entry, &others);
                if (r < 0)
                        return r;
        }
        entry->options = others ? strv_join(others, ",") : strdup("");
        return entry->options ? 0 : -ENOMEM;
}

int mount_entry_parse_bind(const char *s, MountEntry *ret)
{
        _cleanup_mount_entry_ MountEntry entry = { .recursive = true, .propagation = MS_SLAVE };
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
        r = parse_tmpfs_options(n > 1 ? parts[1] : "", &entry);
        if (r < 0)
                return r;
        entry.target = strdup(parts[0]);
        OOM_CHECK(entry.target);
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

        /* If there are two parts, the upper directory is the target as well. */
        size_t n = strv_length(parts), n_layers = n > 2 ? n - 1 : n;
        if (n < 2 || streq(parts[n - 1], "/"))
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (!path_is_normal(parts[i]))
                        return -EINVAL;

        for (size_t i = read_only ? n_layers : n_layers - 1; i > 0;
             i--) { /* the last layer is the topmost */
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/os-release.h"
#include "basic/rootfs.h"
#include "basic/str.h"

#define OS_RELEASE_MAX       (64U * 1024U)
#define OS_RELEASE_FIELD_MAX 256U
#define ENV_FILE_FIELD_MAX   4096U

char *os_release_field(const char *text, const char *key)
{
        return env_file_field(text, key, OS_RELEASE_FIELD_MAX);
}

char *env_file_field(const char *text, const char *key, size_t max)
{
        for (const char *line = text; line && *line;
             line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                const char *p = startswith(line, key);
                char value[ENV_FILE_FIELD_MAX + 1], quote = 0;
                size_t n = 0;

                if (!p || *p++ != '=')
                        continue;
                if (*p == '"' || *p == '\'')
                        quote = *p++;
                for (; *p && *p != '\n' && *p != quote && n < MIN(max, ENV_FILE_FIELD_MAX); p++) {
                        if (*p == '\\' && quote != '\'' && p[1] && p[1] != '\n')
                                p++;
                        value[n++] = *p;
                }
                value[n] = 0;
                return n > 0 && str_is_clean(value) ? strdup(value) : NULL;
        }
        return NULL;
}

static int read_text(int root_fd, char **ret)
{
        int r = rootfs_read_file(root_fd, "/etc/os-release", OS_RELEASE_MAX, ret, NULL);

        return r == -ENOENT ? rootfs_read_file(root_fd, "/usr/lib/os-release", OS_RELEASE_MAX, ret, NULL)
                            : r;
}

static int read_pairs(const char *text, Strv *ret)
{
        _cleanup_strv_ Strv pairs = NULL;
        int r = 0;

        for (const char *line = text; r >= 0 && line && *line;
             line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                size_t n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
                if (n == 0 || line[n] != '=')
                        continue;
                _cleanup_free_ char *key = strndup(line, n),
                                    *value = key ? os_release_field(line, key) : NULL;
                if (!value)
                        continue;
                r = strv_append(&pairs, key);
                if (r >= 0)
                        r = strv_append(&pairs, value);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(pairs);
        return 0;
}

int os_release_read_all(int root_fd, Strv *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = read_text(root_fd, &text);

        return r < 0 ? r : read_pairs(text, ret);
}

int machine_info_read_all(int root_fd, Strv *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = rootfs_read_file(root_fd, "/etc/machine-info", OS_RELEASE_MAX, &text, NULL);

        return r < 0 ? r : read_pairs(text, ret);
}

int os_release_read(int root_fd, char **ret_pretty_name, char **ret_id)
{
        static const char *const names[] = { "PRETTY_NAME", "NAME", "ID" };
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_text(root_fd, &text);
        if (r < 0)
                return r;

        if (ret_pretty_name) {
                *ret_pretty_name = NULL;
                for (size_t i = 0; i < ELEMENTSOF(names) && !*ret_pretty_name; i++)
                        *ret_pretty_name = os_release_field(text, names[i]);
        }
        if (ret_id)
                *ret_id = os_release_field(text, "ID");
        return 0;
}

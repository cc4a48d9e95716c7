/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which files are about a machine, and in which order they count. */

#include <dirent.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "basic/fd.h"
#include "spec/spec.h"

#define SMALL_FILE_MAX 4096U

/* Places of machine files, the more important one last. */
static const char *const machine_dirs[] = { "/usr/lib/mctl", "/run/mctl/config", SYSCONFDIR };
static const char *const nspawn_dirs[] = { "/run/systemd/nspawn", "/etc/systemd/nspawn" };

static int read_file(Spec *spec, const char *path, bool nspawn, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read_at(AT_FDCWD, path, SPEC_FILE_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                *ret_error = strf("%s: Cannot read the file: %s.", path, strerror(-r));
                return *ret_error ? r : -ENOMEM;
        }
        r = spec_read_file(spec, SPEC_SOURCE_FILE, path, nspawn, text, warnings, ret_error);
        return r < 0 ? r : 1;
}

/* The file of the most important place that has one. */
static int find_first(const char *const *dirs, size_t n, const char *name, const char *suffix, char **ret)
{
        for (size_t i = n; i > 0; i--) {
                _cleanup_free_ char *path = strf("%s/%s%s", dirs[i - 1], name, suffix);

                OOM_CHECK(path);
                if (access(path, F_OK) >= 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

int spec_find_file(const char *name, char **ret_path)
{
        int r = find_first(machine_dirs, ELEMENTSOF(machine_dirs), name, ".machine", ret_path);

        return r == -ENOENT ? find_first(nspawn_dirs, ELEMENTSOF(nspawn_dirs), name, ".nspawn", ret_path) : r;
}

static int is_drop_in(const struct dirent *e)
{
        return e->d_name[0] != '.' && endswith(e->d_name, ".conf");
}

/* NAME.machine.d/ of one place, in the order of names. */
static int read_drop_ins(Spec *spec, const char *dir, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *path = strf("%s/%s.machine.d", dir, spec->name);
        struct dirent **entries;
        int n, r = 0;

        OOM_CHECK(path);
        n = scandir(path, &entries, is_drop_in, alphasort);
        if (n < 0)
                return errno == ENOENT ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = strf("%s/%s", path, entries[i]->d_name);
                if (r >= 0)
                        r = file ? read_file(spec, file, false, warnings, ret_error) : -ENOMEM;
                free(entries[i]);
        }
        free(entries);
        return r;
}

int spec_load(Spec *spec, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *main_file = NULL;
        int r, found;

        for (size_t i = 0; i < ELEMENTSOF(machine_dirs); i++) {
                _cleanup_free_ char *path = strf("%s/_default.machine", machine_dirs[i]);
                OOM_CHECK(path);
                r = read_file(spec, path, false, warnings, ret_error);
                if (r < 0)
                        return r;
        }

        found = spec_find_file(spec->name, &main_file);
        if (found >= 0)
                found = read_file(spec, main_file, endswith(main_file, ".nspawn"), warnings, ret_error);
        if (found == -ENOENT)
                found = 0;
        if (found < 0)
                return found;

        for (size_t i = 0; i < ELEMENTSOF(machine_dirs); i++) {
                r = read_drop_ins(spec, machine_dirs[i], warnings, ret_error);
                if (r < 0)
                        return r;
        }
        return found;
}

/* The first line of a small file; "" where there is none. */
static int read_line(const char *path, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read_at(AT_FDCWD, path, SMALL_FILE_MAX, &text, NULL);
        if (r < 0)
                text = strdup("");
        OOM_CHECK(text);
        text[strcspn(text, "\n")] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

static int specifier(const Spec *spec, char letter, char **ret)
{
        struct utsname uts;
        int r = 0;

        (void) uname(&uts);
        switch (letter) {
        case '%':
                *ret = strdup("%");
                break;
        case 'i':
        case 'n':
                *ret = strdup(spec->name);
                break;
        case 'H':
                *ret = strdup(uts.nodename);
                break;
        case 'v':
                *ret = strdup(uts.release);
                break;
        case 'a':
                *ret = strdup(uts.machine);
                break;
        case 'm':
                r = read_line("/etc/machine-id", ret);
                break;
        case 'b':
                r = read_line("/proc/sys/kernel/random/boot_id", ret);
                for (char *p = r < 0 ? NULL : *ret, *q = p; p && (*q = *p); p++)
                        q += *p != '-';
                break;
        default:
                return -EINVAL;
        }
        return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

int spec_expand(const Spec *spec, const char *value, char **ret)
{
        _cleanup_free_ char *out = strdup("");
        int r;

        OOM_CHECK(out);
        for (const char *p = value; *p;) {
                size_t n = strcspn(p, "%");
                _cleanup_free_ char *expanded = NULL;

                if (n == 0) {
                        r = p[1] ? specifier(spec, p[1], &expanded) : -EINVAL;
                        if (r < 0)
                                return r;
                }
                char *longer = n > 0 ? strf("%s%.*s", out, (int) n, p) : strf("%s%s", out, expanded);
                OOM_CHECK(longer);
                free(out);
                out = longer;
                p += n > 0 ? n : 2;
        }
        *ret = TAKE_PTR(out);
        return 0;
}

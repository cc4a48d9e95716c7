/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which files are about a machine, and in which order they count. */

#include <dirent.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/names.h"
#include "spec/cdi.h"
#include "spec/spec.h"

#define SMALL_FILE_MAX 4096U

/* Places of machine files, the more important one last. */
const char *const spec_machine_dirs[] = { "/usr/lib/mctl", "/run/mctl/config", SYSCONFDIR, NULL };
#define N_MACHINE_DIRS (ELEMENTSOF(spec_machine_dirs) - 1)
const char *const spec_nspawn_dirs[] = { "/run/systemd/nspawn", "/etc/systemd/nspawn", NULL };

int spec_read_path(Spec *spec, SpecSource source, const char *path, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read_at(AT_FDCWD, path, SPEC_FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r >= 0 && strlen(text) != size)
                r = -EBADMSG; /* a NUL byte, behind which nothing would be seen */
        if (r < 0) {
                *ret_error = strf("%s: Cannot read the file: %s.", path,
                                  r == -EBADMSG ? "it has a NUL byte" : strerror(-r));
                return *ret_error ? r : -ENOMEM;
        }
        r = spec_read_file(spec, source, path, endswith(path, ".nspawn"), text, warnings, ret_error);
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
        int r = find_first(spec_machine_dirs, N_MACHINE_DIRS, name, ".machine", ret_path);

        return r == -ENOENT ? find_first(spec_nspawn_dirs, ELEMENTSOF(spec_nspawn_dirs) - 1, name, ".nspawn",
                                         ret_path)
                            : r;
}

static int is_drop_in(const struct dirent *e)
{
        return e->d_name[0] != '.' && endswith(e->d_name, ".conf");
}

/* NAME.machine.d/ of one place, in the order of names. */
static int list_drop_ins(const char *dir, const char *name, Strv *files)
{
        _cleanup_free_ char *path = strf("%s/%s.machine.d", dir, name);
        struct dirent **entries;
        int n, r = 0;

        OOM_CHECK(path);
        n = scandir(path, &entries, is_drop_in, alphasort);
        if (n < 0)
                return errno == ENOENT ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = strv_appendf(files, "%s/%s", path, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int spec_list_files(const char *name, Strv *ret)
{
        _cleanup_free_ char *main_file = NULL;
        _cleanup_strv_ Strv files = NULL;
        int r = 0;

        for (size_t i = 0; i < N_MACHINE_DIRS && r >= 0; i++) {
                _cleanup_free_ char *path = strf("%s/_default.machine", spec_machine_dirs[i]);
                OOM_CHECK(path);
                if (access(path, F_OK) >= 0)
                        r = strv_append(&files, path);
        }
        if (r >= 0)
                r = spec_find_file(name, &main_file);
        if (r >= 0)
                r = strv_append(&files, main_file);
        else if (r == -ENOENT)
                r = 0;
        for (size_t i = 0; i < N_MACHINE_DIRS && r >= 0; i++)
                r = list_drop_ins(spec_machine_dirs[i], name, &files);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(files);
        return 0;
}

int spec_load(Spec *spec, const char *image_file, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *main_file = NULL;
        _cleanup_strv_ Strv files = NULL;
        int r;

        r = spec_list_files(spec->name, &files);
        if (r >= 0 && image_file)
                r = spec_read_path(spec, SPEC_SOURCE_IMAGE, image_file, warnings, ret_error);
        STRV_FOREACH (file, files)
                if (r >= 0)
                        r = spec_read_path(spec, SPEC_SOURCE_FILE, *file, warnings, ret_error);
        if (r < 0)
                return r;
        r = spec_find_file(spec->name, &main_file);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int merge_once(const char *name, const char *image_file, const char *json, Spec **ret, Strv *warnings,
                      char **ret_error)
{
        _cleanup_spec_ Spec *spec = spec_new(name);
        int r, found = 0;

        OOM_CHECK(spec);
        if (name) {
                found = spec_load(spec, image_file, warnings, ret_error);
                if (found < 0)
                        return found;
        }
        r = json ? spec_from_json_text(spec, SPEC_SOURCE_COMMAND, json, ret_error) : 0;
        if (r >= 0 && !spec->image && spec->name)
                r = free_and_strdup(&spec->image, spec->name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(spec);
        return found;
}

int spec_merge(const char *name, const char *json, Spec **ret, Strv *warnings, char **ret_error)
{
        _cleanup_spec_ Spec *said = NULL, *spec = NULL;
        _cleanup_free_ char *from_image = NULL, *image_file = NULL;
        _cleanup_strv_ Strv ignored = NULL;
        int r, found;

        /* First, what it is about. */
        r = merge_once(name, NULL, json, &said, &ignored, ret_error);
        if (r < 0)
                return r;
        if (!name) {
                name = said->name;
                if (!name && said->image) {
                        const char *slash = strrchr(said->image, '/');
                        r = machine_name_from(slash ? slash + 1 : said->image, &from_image);
                        if (r < 0 && r != -EINVAL)
                                return r;
                        name = from_image;
                }
        }
        if (!name || !machine_name_valid(name))
                return spec_validate(said, ret_error); /* which says so */
        strv_free(TAKE_PTR(ignored));
        if (said->image && name != said->name) {
                /* The files of the name may say which image it is. */
                spec_free(TAKE_PTR(said));
                r = merge_once(name, NULL, json, &said, &ignored, ret_error);
                if (r < 0)
                        return r;
        }

        image_file = said->image[0] == '/' ? strf("%s.nspawn", said->image)
                                           : strf(IMAGE_STORE "/%s.nspawn", said->image);
        OOM_CHECK(image_file);
        found = merge_once(name, image_file, json, &spec, warnings, ret_error);
        if (found < 0)
                return found;
        r = cdi_expand(spec, ret_error);
        if (r >= 0)
                r = spec_validate(spec, ret_error);
        if (r >= 0 && spec->profile == PROFILE_PRIVILEGED)
                r = strv_append(
                        warnings,
                        "Profile=privileged: the machine has all capabilities and no filter, and sees all "
                        "of the kernel's files.");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(spec);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/spec-load.h"

#include <dirent.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/names.h"
#include "spec/cdi.h"
#include "spec/image-ref.h"

#define MACHINE_SUFFIX ".machine"
#define NSPAWN_SUFFIX  ".nspawn"

/* Directories for files of systemd-nspawn, in order of rising priority. Only the system's instance reads
 * them. */
static const char *const nspawn_dirs[] = { "/run/systemd/nspawn", "/etc/systemd/nspawn" };

static int machine_dirs(const Scope *scope, Strv *ret)
{
        _cleanup_strv_ Strv dirs = NULL;
        int r = strv_append(&dirs, scope->vendor_dir);

        if (r >= 0)
                r = strv_appendf(&dirs, "%s/config", scope->run_dir);
        if (r >= 0)
                r = strv_append(&dirs, scope->config_dir);
        if (r >= 0)
                *ret = TAKE_PTR(dirs);
        return r;
}

static int list_nspawn_dirs(const Scope *scope, Strv *ret)
{
        _cleanup_strv_ Strv dirs = NULL;

        for (size_t i = 0; i < ELEMENTSOF(nspawn_dirs) && !scope->name; i++)
                if (strv_append(&dirs, nspawn_dirs[i]) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(dirs);
        return 0;
}

int spec_read_path(Spec *spec, SpecSource source, const char *path, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read_at(AT_FDCWD, path, SPEC_FILE_MAX, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r >= 0 && strlen(text) != size)
                r = -EBADMSG; /* the text behind a NUL byte would be ignored */
        if (r < 0) {
                *ret_error = strf("%s: Cannot read the file: %s.", path,
                                  r == -EBADMSG ? "it has a NUL byte" : strerror(-r));
                return *ret_error ? r : -ENOMEM;
        }
        r = spec_read_file(spec, source, path, endswith(path, NSPAWN_SUFFIX), text, warnings, ret_error);
        return r < 0 ? r : 1;
}

/* Finds the file in the directory of the highest priority. */
static int find_last(const Strv dirs, const char *name, const char *suffix, char **ret)
{
        for (size_t i = strv_length(dirs); i > 0; i--) {
                _cleanup_free_ char *path = strf("%s/%s%s", dirs[i - 1], name, suffix);

                OOM_CHECK(path);
                if (access(path, F_OK) >= 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

int spec_find_file(const Scope *scope, const char *name, char **ret_path)
{
        _cleanup_strv_ Strv machines = NULL, nspawn = NULL;
        int r = machine_dirs(scope, &machines);

        if (r >= 0)
                r = find_last(machines, name, MACHINE_SUFFIX, ret_path);
        if (r != -ENOENT)
                return r;
        r = list_nspawn_dirs(scope, &nspawn);
        return r < 0 ? r : find_last(nspawn, name, NSPAWN_SUFFIX, ret_path);
}

/* Appends the names of machines that have a file with this suffix. */
static int list_names_in(const Strv places, const char *suffix, Strv *names)
{
        STRV_FOREACH (place, places) {
                _cleanup_(closedir_cleanup) DIR *dir = opendir(*place);

                for (struct dirent *e; dir && (e = readdir(dir));) {
                        const char *end = endswith(e->d_name, suffix);
                        _cleanup_free_ char *name = end ? strndup(e->d_name, end - e->d_name) : NULL;

                        if (end)
                                OOM_CHECK(name);
                        if (!end || !machine_name_valid(name) || streq(name, "_default") ||
                            strv_contains(*names, name))
                                continue;
                        if (strv_append(names, name) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

int spec_list_names(const Scope *scope, Strv *ret)
{
        _cleanup_strv_ Strv machines = NULL, nspawn = NULL, names = NULL;
        int r = machine_dirs(scope, &machines);

        if (r >= 0)
                r = list_nspawn_dirs(scope, &nspawn);
        if (r >= 0)
                r = list_names_in(nspawn, NSPAWN_SUFFIX, &names);
        if (r >= 0)
                r = list_names_in(machines, MACHINE_SUFFIX, &names);
        if (r >= 0)
                *ret = TAKE_PTR(names);
        return r;
}

static int is_drop_in(const struct dirent *e)
{
        return e->d_name[0] != '.' && endswith(e->d_name, ".conf");
}

/* Lists the files of NAME.machine.d/ in one directory, sorted by name. */
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

int spec_list_files(const Scope *scope, const char *name, Strv *ret)
{
        _cleanup_strv_ Strv dirs = NULL, files = NULL;
        _cleanup_free_ char *main_file = NULL;
        int r = machine_dirs(scope, &dirs);

        if (r < 0)
                return r;
        STRV_FOREACH (dir, dirs) {
                _cleanup_free_ char *path = strf("%s/_default" MACHINE_SUFFIX, *dir);
                OOM_CHECK(path);
                if (r >= 0 && access(path, F_OK) >= 0)
                        r = strv_append(&files, path);
        }
        if (r >= 0)
                r = spec_find_file(scope, name, &main_file);
        if (r >= 0)
                r = strv_append(&files, main_file);
        else if (r == -ENOENT)
                r = 0;
        STRV_FOREACH (dir, dirs)
                if (r >= 0)
                        r = list_drop_ins(*dir, name, &files);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(files);
        return 0;
}

int spec_load(const Scope *scope, Spec *spec, const char *image_file, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *main_file = NULL;
        _cleanup_strv_ Strv files = NULL;
        int r;

        r = spec_list_files(scope, spec->name, &files);
        if (r >= 0 && image_file)
                r = spec_read_path(spec, SPEC_SOURCE_IMAGE, image_file, warnings, ret_error);
        STRV_FOREACH (file, files)
                if (r >= 0)
                        r = spec_read_path(spec, SPEC_SOURCE_FILE, *file, warnings, ret_error);
        if (r < 0)
                return r;
        r = spec_find_file(scope, spec->name, &main_file);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int merge_once(const Scope *scope, const char *name, const char *image_file, const char *json,
                      Spec **ret, Strv *warnings, char **ret_error)
{
        _cleanup_spec_ Spec *spec = spec_new(name);
        int r, found = 0;

        OOM_CHECK(spec);
        if (name) {
                found = spec_load(scope, spec, image_file, warnings, ret_error);
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

/* -EINVAL if the image's name gives no valid name for a machine. */
static int name_from_image(const char *image, char **ret)
{
        _cleanup_free_ char *base = NULL;
        ImageRef ref;
        int r = image_ref_parse(image, &ref);

        if (r < 0)
                return r;
        base = strndup(ref.base, ref.n_base);
        OOM_CHECK(base);
        return machine_name_from(base, ret);
}

int spec_merge(const Scope *scope, const char *name, const char *json, Spec **ret, Strv *warnings,
               char **ret_error)
{
        _cleanup_spec_ Spec *said = NULL, *spec = NULL;
        _cleanup_free_ char *from_image = NULL, *image_file = NULL;
        _cleanup_strv_ Strv ignored = NULL;
        int r, found;

        /* First, find the name of the machine and its image. */
        r = merge_once(scope, name, NULL, json, &said, &ignored, ret_error);
        if (r < 0)
                return r;
        if (!name) {
                name = said->name;
                if (!name && said->image) {
                        r = name_from_image(said->image, &from_image);
                        if (r < 0 && r != -EINVAL)
                                return r;
                        name = from_image;
                }
        }
        if (!name || !machine_name_valid(name))
                return spec_validate(said, ret_error); /* the error names the reason */
        strv_free(TAKE_PTR(ignored));
        if (said->image && name != said->name) {
                /* The files of this machine can name another image. */
                spec_free(TAKE_PTR(said));
                r = merge_once(scope, name, NULL, json, &said, &ignored, ret_error);
                if (r < 0)
                        return r;
        }

        image_file = said->image[0] == '/' ? strf("%s" NSPAWN_SUFFIX, said->image)
                                           : strf("%s/%s" NSPAWN_SUFFIX, scope->store, said->image);
        OOM_CHECK(image_file);
        found = merge_once(scope, name, image_file, json, &spec, warnings, ret_error);
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

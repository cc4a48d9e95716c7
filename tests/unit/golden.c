/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* golden FILE: reads a machine file, or a spec as JSON where the name ends with .json, and prints the plan
 * for it. What is wrong with it goes to stderr as one line, what is left out as warnings before the plan,
 * and the exit status is 1. The name of the machine is that of the file. */

#include "basic/fd.h"
#include "sandbox/plan.h"
#include "state/spec-load.h"

static const Scope scope = { .run_dir = (char *) "/run/mctl" };

static char *name_of(const char *path)
{
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

        return strndup(base, strcspn(base, "."));
}

static int read_spec(const char *path, Spec *spec, Strv *warnings, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        int r;

        if (endswith(path, ".json")) {
                r = file_read_at(AT_FDCWD, path, SPEC_FILE_MAX, &text, NULL);
                if (r >= 0)
                        r = spec_from_json_text(spec, SPEC_SOURCE_COMMAND, text, ret_error);
        } else
                r = spec_read_path(spec, SPEC_SOURCE_FILE, path, warnings, ret_error);
        /* Such a file lies beside the image of its name. */
        if (r >= 0 && endswith(path, ".nspawn") && !spec->image)
                r = free_and_strdup(&spec->image, spec->name);
        return r < 0 ? r : spec_validate(spec, ret_error);
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *name = NULL, *error = NULL;
        _cleanup_strv_ Strv warnings = NULL;
        _cleanup_spec_ Spec *spec = NULL;
        _cleanup_plan_ Plan *plan = NULL;
        int r;

        if (argc != 2)
                return 2;
        name = name_of(argv[1]);
        spec = spec_new(name);
        r = read_spec(argv[1], spec, &warnings, &error);
        if (r >= 0)
                r = plan_new(spec,
                             &(PlanInput){
                                     .scope = &scope,
                                     .root = "/ROOT",
                                     .init = "/sbin/init",
                                     .uuid = "0123456789abcdef0123456789abcdef",
                                     .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
                                     .notify = "/run/mctl/machines/NAME/notify",
                             },
                             &plan);
        if (r < 0) {
                fprintf(stderr, "%s\n", error ? error : strerror(-r));
                return 1;
        }
        STRV_FOREACH (w, warnings)
                printf("Warning: %s\n", *w);
        json_t *json = plan_to_json(plan);
        r = json_dumpf(json, stdout, JSON_INDENT(4));
        putchar('\n');
        json_decref(json);
        return r < 0;
}

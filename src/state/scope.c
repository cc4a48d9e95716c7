/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/scope.h"

#include <unistd.h>

#define SCOPE_VARIABLE "MCTL_SCOPE"
#define RUNTIME        "mctl"

/* The directories of the system's instance, and the names of the subdirectories for another instance. */
static const struct {
        size_t offset;
        const char *system, *below;
} directories[] = {
        { offsetof(Scope, config_dir), SYSCONFDIR, "etc" },
        { offsetof(Scope, vendor_dir), "/usr/lib/mctl", "lib" },
        { offsetof(Scope, state_dir), "/var/lib/mctl", "state" },
        { offsetof(Scope, cache_dir), "/var/cache/mctl", "cache" },
        { offsetof(Scope, store), "/var/lib/machines", "machines" },
};

void scope_free(Scope *scope)
{
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                free(*(char **) ((uint8_t *) scope + directories[i].offset));
        free(scope->name);
        free(scope->bus);
        free(scope->run_dir);
        free(scope->runtime);
        free(scope);
}

static int set_other(Scope *scope, const char *name)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");

        if (name[0] != '/' || isempty(runtime))
                return -EINVAL;
        scope->name = strdup(name);
        scope->bus = strf("unix:path=%s/bus", runtime);
        scope->run_dir = strf("%s/" RUNTIME, runtime);
        scope->owner = geteuid();
        return scope->name && scope->bus && scope->run_dir ? 0 : -ENOMEM;
}

int scope_new(Scope **ret)
{
        const char *name = getenv(SCOPE_VARIABLE);
        _cleanup_scope_ Scope *scope = calloc(1, sizeof(Scope));
        int r;

        OOM_CHECK(scope);
        if (isempty(name)) {
                scope->run_dir = strdup("/run/" RUNTIME);
        } else {
                r = set_other(scope, name);
                if (r < 0)
                        return r;
        }
        scope->runtime = strdup(RUNTIME);
        if (!scope->run_dir || !scope->runtime)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                char *path = isempty(name) ? strdup(directories[i].system)
                                           : strf("%s/%s", name, directories[i].below);
                OOM_CHECK(path);
                *(char **) ((uint8_t *) scope + directories[i].offset) = path;
        }
        *ret = TAKE_PTR(scope);
        return 0;
}

int scope_environment(const Scope *scope, Strv *environment)
{
        return scope->name ? strv_appendf(environment, SCOPE_VARIABLE "=%s", scope->name) : 0;
}

char *scope_store_path(const Scope *scope, const char *file)
{
        return strf("%s/%s", scope->store, file);
}

char *scope_config_path(const Scope *scope, const char *file)
{
        return strf("%s/%s", scope->config_dir, file);
}

char *scope_run_path(const Scope *scope, const char *file)
{
        return strf("%s/%s", scope->run_dir, file);
}

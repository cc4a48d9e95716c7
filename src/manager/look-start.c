/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/look-start.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/os-release.h"
#include "basic/rootfs.h"
#include "sandbox/plan.h"
#include "state/claim.h"
#include "state/record.h"
#include "state/spec-load.h"
#include "store/image.h"
#include "store/stack.h"

/* The launcher decides, but a refusal is clearer than a failed start. */
static int look_for_users(const Scope *scope, const Spec *spec, PrepareAnswer *a)
{
        _cleanup_free_ char *holder = machine_dir_path(MACHINE_UNIT_TRANSIENT, spec->name);
        char path[CLAIM_MAX];

        OOM_CHECK(holder);
        _cleanup_close_ int run_fd = run_dir_open(scope);
        if (run_fd < 0)
                return run_fd;
        int r = claim_look_image(run_fd, spec, a->root, holder, path, &a->busy);
        return r == -EBUSY && a->busy ? 0 : r;
}

static int look_at_image(const Scope *scope, const Spec *spec, PrepareAnswer *a, char **ret_error)
{
        struct stat st;
        int r = image_find(scope, spec->image, &a->root, ret_error);

        if (r < 0)
                return r;
        if (stat(a->root, &st) < 0)
                return -errno;
        a->disk = !S_ISDIR(st.st_mode);
        a->block = S_ISBLK(st.st_mode);
        return look_for_users(scope, spec, a);
}

/* Takes each fact from the topmost layer that has it. A child cannot mount the overlay. */
static int inspect_layer(int layer_fd, bool has_upper, ImageInfo *info)
{
        _cleanup_image_info_ ImageInfo here = {};
        _cleanup_close_ int upper_fd = has_upper ? rootfs_open(layer_fd, "/upper", O_PATH | O_DIRECTORY)
                                                 : -EBADF;
        int r = image_inspect(has_upper ? upper_fd : layer_fd, &here);

        if (r < 0)
                return r;
        if (!info->init && here.init) {
                info->init = TAKE_PTR(here.init);
                info->readiness = here.readiness;
                info->systemd = here.systemd;
        }
        if (!info->uuid[0])
                memcpy(info->uuid, here.uuid, sizeof(info->uuid));
        info->has_localtime = info->has_localtime || here.has_localtime;
        return 0;
}

static int inspect_stack(const Scope *scope, int stack_fd, ImageInfo *info)
{
        _cleanup_stack_ Stack stack = {};
        int *layers, r;
        size_t n;

        _cleanup_close_ int store_fd = open(scope->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = store_fd < 0 ? -errno : stack_read(stack_fd, &stack);
        if (r >= 0)
                r = layers_open(store_fd, &stack.layers, &layers, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = inspect_layer(layers[i], i < strv_length(stack.layers.ids), info);
        layers_close(layers, n);
        return r;
}

static int make_plan(const Scope *scope, const Spec *spec, PrepareAnswer *a, char **ret_error)
{
        _cleanup_free_ char *notify = NULL;
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_plan_ Plan *plan = NULL;
        _cleanup_strv_ Strv host_os = NULL;
        int r;

        if (a->disk) {
                *ret_error = strf("Image '%s' is a disk, which is not looked into for a dry run.",
                                  spec->image);
                return -EOPNOTSUPP;
        }
        _cleanup_close_ int root_fd = open(a->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = root_fd < 0                       ? -errno
            : endswith(a->root, STACK_SUFFIX) ? inspect_stack(scope, root_fd, &info)
                                              : image_inspect(root_fd, &info);
        if (r < 0)
                return r;
        if (spec->boot && !info.init) {
                *ret_error = strf("Image '%s' has no init.", spec->image);
                return -ENOEXEC;
        }
        _cleanup_close_ int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void) os_release_read_all(host_fd, &host_os);
        notify = machine_notify_path(scope, MACHINE_UNIT_TRANSIENT, spec->name);
        OOM_CHECK(notify);
        const PlanInput input = {
                .scope = scope,
                .root = a->root,
                .init = info.init,
                .uuid = info.uuid[0] ? info.uuid : "random",
                .boot_id = "random",
                .notify = notify,
                .host_os = host_os,
                .has_localtime = info.has_localtime,
                .silent = info.readiness == INIT_SILENT,
                .systemd = info.systemd,
        };
        r = plan_new(spec, &input, &plan);
        if (r < 0)
                return r;
        json_t *json = plan_to_json(plan);
        a->plan = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        return a->plan ? 0 : -ENOMEM;
}

static int warn_of_open_store(const Scope *scope, PrepareAnswer *a)
{
        const char *below = startswith(a->root, scope->store);
        struct stat st;

        if (!below || *below != '/' || stat(scope->store, &st) < 0 || !(st.st_mode & S_IXOTH))
                return 0;
        return strv_appendf(
                &a->warnings,
                "Every user can run set-user-ID programs in '%s'. To prevent this: chmod 0700 %s",
                scope->store, scope->store);
}

int look_prepare(const Scope *scope, const void *request, void *answer, char **ret_error)
{
        const PrepareRequest *q = request;
        PrepareAnswer *a = answer;
        _cleanup_spec_ Spec *spec = NULL;
        int r;

        r = spec_merge(scope, NULL, q->spec, &spec, &a->warnings, ret_error);
        if (r < 0)
                return r;
        r = look_at_image(scope, spec, a, ret_error);
        if (r >= 0)
                r = warn_of_open_store(scope, a);
        if (r >= 0 && q->plan)
                r = make_plan(scope, spec, a, ret_error);
        if (r < 0)
                return r;
        a->spec = spec_to_json_text(spec, true, JSON_COMPACT);
        OOM_CHECK(a->spec);
        return 0;
}

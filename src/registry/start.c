/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "image/image.h"
#include "registry/start.h"
#include "registry/unit.h"
#include "sandbox/plan.h"

/* A machine that is about to be started: all that is known before the first side effect. */
struct Start {
        Registry *registry;
        sd_bus_message *call;
        Spec *spec;
        char *root;
        Strv assignments, warnings;
        char *unit;
        bool asked;   /* systemd was told to forget an earlier unit of the name */
        int stdio[3]; /* of the payload, and the message's; negative where it has the journal */
        Start *next;  /* of those under way */
};

static void start_free(Start *start)
{
        for (Start **p = &start->registry->starts; *p; p = &(*p)->next)
                if (*p == start) {
                        *p = start->next;
                        break;
                }
        if (start->spec)
                spec_free(start->spec);
        strv_free(start->assignments);
        strv_free(start->warnings);
        sd_bus_message_unref(start->call);
        free(start->root);
        free(start->unit);
        free(start);
}
DEFINE_CLEANUP(Start *, start_free);

static int reply_invalid(sd_bus_message *call, const char *error)
{
        return sd_bus_reply_method_errorf(call, ERROR_INVALID_SPEC, "%s", strna(error));
}

static int allow_disk(Start *start)
{
        struct stat st;
        int r;

        if (stat(start->root, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode) || start->spec->profile == PROFILE_PRIVILEGED)
                return 0;
        r = spec_allow_disks(&start->assignments);
        if (r >= 0 && spec_wants_hashes(start->spec))
                r = spec_need_device_mapper(&start->assignments);
        return r < 0 || !S_ISBLK(st.st_mode)
                       ? r
                       : strv_appendf(&start->assignments, "DeviceAllow=%s rw", start->root);
}

/* Reads the spec of a call and judges it. Returns 0 when the error has been replied. */
static int start_prepare(Registry *registry, sd_bus_message *call, Start **ret)
{
        _cleanup_(start_free_cleanup) Start *start = calloc(1, sizeof(Start));
        _cleanup_free_ char *error = NULL;
        const char *text;
        int r;

        OOM_CHECK(start);
        *start = (Start){
                .registry = registry,
                .call = sd_bus_message_ref(call),
                .stdio = { -EBADF, -EBADF, -EBADF },
        };

        r = sd_bus_message_read(call, "s", &text);
        if (r < 0)
                return r;
        r = spec_merge(NULL, text, &start->spec, &start->warnings, &error);
        if (r == -EINVAL)
                return MIN(reply_invalid(call, error), 0);
        if (r < 0)
                return r;

        r = image_find(start->spec->image, &start->root, &error);
        if (r < 0 && error)
                return MIN(sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_IMAGE, "%s", error), 0);
        if (r < 0)
                return r;

        start->unit = machine_unit_name(MACHINE_UNIT_TRANSIENT, start->spec->name);
        OOM_CHECK(start->unit);
        r = unit_assignments(start->spec, &start->assignments);
        if (r >= 0)
                r = allow_disk(start);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(start);
        return 1;
}

static void remove_dir(Start *start)
{
        (void) machine_dir_remove(start->registry->run_fd, MACHINE_UNIT_TRANSIENT, start->spec->name);
}

bool start_is_pending(const Registry *registry, const char *name)
{
        for (const Start *start = registry->starts; start; start = start->next)
                if (streq(start->spec->name, name))
                        return true;
        return false;
}

static int dir_exists(Start *start)
{
        _cleanup_close_ int fd = machine_dir_open(start->registry->run_fd, MACHINE_UNIT_TRANSIENT,
                                                  start->spec->name, false);
        return fd == -ENOENT ? 0 : fd < 0 ? fd : 1;
}

static int write_dir(Start *start)
{
        _cleanup_close_ int machine_fd = machine_dir_open(start->registry->run_fd, MACHINE_UNIT_TRANSIENT,
                                                          start->spec->name, true);
        if (machine_fd < 0)
                return machine_fd;
        return machine_spec_write(machine_fd, start->spec);
}

static int start_unit(Start *start);

static int reply_exists(Start *start)
{
        return sd_bus_reply_method_errorf(start->call, ERROR_MACHINE_EXISTS,
                                          "Machine '%s' is there already.", start->spec->name);
}

static int on_forgotten(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(start_free_cleanup) Start *start = userdata;
        int r;

        (void) ret_error;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        bool gone = e && sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit");

        if (e && !gone)
                return sd_bus_reply_method_error(start->call, e);
        /* A unit that is there and has its directory is being started, or was never down: its spec is not ours. */
        r = gone ? 0 : dir_exists(start);
        if (r != 0)
                return r < 0 ? r : reply_exists(start);
        start->asked = true;
        r = start_unit(start);
        if (r > 0)
                TAKE_PTR(start);
        return r;
}

/* A unit of the name that has ended may be remembered, or be about to lose its runtime directory, which systemd removes
 * between two messages. So it is told to forget, and asked: by the answer, all that was an ended unit's is gone.
 * Consumes `start` where it returns 1. */
static int forget_then_start(Start *start)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        int r;

        registry_reset_failed(start->registry, start->unit);
        r = systemd_call(start->registry->bus, &request, "GetUnit", "s", start->unit);
        return r < 0 ? r
                     : registry_forward(start->registry, TAKE_PTR(request), start->call, on_forgotten,
                                        start);
}

static int on_started(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(start_free_cleanup) Start *start = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
        _cleanup_free_ char *path = machine_path(start->spec->name);
        const char *job;
        int r;

        (void) ret_error;
        if (e) {
                bool exists = sd_bus_error_has_name(e, "org.freedesktop.systemd1.UnitExists");
                /* Without an answer it may start all the same, and then needs what it is to be. */
                if (!sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) &&
                    !sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT) &&
                    !sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED))
                        remove_dir(start);
                if (exists && !start->asked) {
                        r = forget_then_start(start);
                        if (r > 0)
                                TAKE_PTR(start);
                        return r;
                }
                if (exists)
                        return reply_exists(start);
                if (sd_bus_error_has_name(e, SD_BUS_ERROR_INVALID_ARGS) ||
                    sd_bus_error_has_name(e, SD_BUS_ERROR_PROPERTY_READ_ONLY))
                        return reply_invalid(start->call, e->message);
                return sd_bus_reply_method_error(start->call, e);
        }
        OOM_CHECK(path);
        r = sd_bus_message_read(reply, "o", &job);
        if (r < 0)
                return r;
        r = registry_add_unit(start->registry, start->unit);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(start->call, &answer);
        if (r >= 0)
                r = sd_bus_message_append(answer, "oso", path, start->unit, job);
        if (r >= 0)
                r = sd_bus_message_append_strv(answer, start->warnings);
        return r < 0 ? r : sd_bus_send(start->registry->bus, answer, NULL);
}

/* Consumes `start` where it returns 1: it belongs to the answer that comes. */
static int start_unit(Start *start)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *request = NULL;
        _cleanup_free_ char *error = NULL;
        Registry *registry = start->registry;
        int r;

        r = start->asked ? 0 : dir_exists(start);
        if (r != 0)
                return r < 0 ? r : forget_then_start(start);

        r = systemd_call(registry->bus, &request, "StartTransientUnit", "ss", start->unit, "fail");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(request, 'a', "(sv)");
        if (r >= 0)
                r = unit_append_properties(request, registry->property_types, start->assignments, &error);
        if (r == -EINVAL)
                return MIN(reply_invalid(start->call, error), 0);
        /* The caller's own descriptors become the payload's: systemd hands them over, and nobody copies. */
        if (r >= 0)
                r = unit_append_stdio(request, start->stdio);
        if (r >= 0)
                r = sd_bus_message_close_container(request);
        if (r >= 0)
                r = sd_bus_message_append(request, "a(sa(sv))", 0);
        if (r < 0)
                return r;
        r = write_dir(start);
        if (r < 0) {
                remove_dir(start);
                return r;
        }
        r = registry_forward(registry, TAKE_PTR(request), start->call, on_started, start);
        if (r < 0)
                remove_dir(start);
        return r;
}

/* The launcher judges; but a refusal is kinder than a failure. Returns 0 when the error has been replied. */
static int check_image(Start *start)
{
        _cleanup_free_ char *holder = machine_dir_path(MACHINE_UNIT_TRANSIENT, start->spec->name),
                            *error = NULL;
        char path[CLAIM_MAX];
        int r;

        OOM_CHECK(holder);
        r = claim_look_image(start->registry->run_fd, start->spec, start->root, holder, path, &error);
        if (r == -EBUSY && error)
                return MIN(sd_bus_reply_method_errorf(start->call, ERROR_IMAGE_BUSY, "%s", error), 0);
        return r < 0 ? r : 1;
}

/* What is started by systemd alone may be news to us; its launcher has left a record, though. Returns 0 when the error
 * has been replied. */
static int check_doors(Start *start)
{
        _cleanup_free_ char *unit = NULL;
        int r = 0;

        if (start_is_pending(start->registry, start->spec->name))
                return MIN(reply_exists(start), 0);

        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX && r == 0; kind++)
                r = machine_is_running(start->registry->run_fd, kind, start->spec->name, &unit);
        if (r == 0)
                return check_image(start);
        if (r < 0)
                return r;
        return MIN(sd_bus_reply_method_errorf(start->call, ERROR_MACHINE_EXISTS,
                                              "Machine '%s' is running already, as %s.", start->spec->name,
                                              unit),
                   0);
}

/* What we know may be a moment old: nobody is refused for that. `sure` says that it is not. */
static int start_begin(Registry *registry, sd_bus_message *call, bool sure);

static int start_again(Registry *registry, sd_bus_message *call)
{
        int r = sd_bus_message_rewind(call, true);
        return r < 0 ? r : start_begin(registry, call, true);
}

static int start_begin(Registry *registry, sd_bus_message *call, bool sure)
{
        _cleanup_(start_free_cleanup) Start *start = NULL;
        Machine *m;
        int r;

        r = start_prepare(registry, call, &start);
        if (r > 0 && !sd_bus_message_at_end(call, true))
                r = unit_read_stdio(call, start->stdio);
        if (r > 0)
                r = check_doors(start);
        if (r <= 0)
                return r;
        m = registry_find(registry, start->spec->name);
        if (m && m->foreign && m->owner != 0)
                m = NULL; /* what a user registered is in nobody's way */
        if (m && m->state != MACHINE_FAILED && !sure)
                return registry_refresh_then(registry, call, start_again);
        if (m && m->state != MACHINE_FAILED)
                return sd_bus_reply_method_errorf(call, ERROR_MACHINE_EXISTS,
                                                  "Machine '%s' is %s already, as %s.", m->name,
                                                  machine_state_to_string(m), m->unit);
        start->next = registry->starts;
        registry->starts = start;
        r = start_unit(start);
        if (r > 0)
                TAKE_PTR(start);
        return r;
}

int start_machine(Registry *registry, sd_bus_message *call)
{
        return start_begin(registry, call, false);
}

static int append_plan(Start *start, json_t *json)
{
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_plan_ Plan *plan = NULL;
        json_t *unit = json_array();
        int r;

        STRV_FOREACH (s, start->assignments)
                json_array_append_new(unit, json_string(*s));
        json_object_set_new(json, "Unit", json_string(start->unit));
        json_object_set_new(json, "Properties", unit);
        json_object_set_new(json, "Spec", spec_to_json(start->spec, true));

        _cleanup_close_ int root_fd = open(start->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        r = image_inspect(root_fd, &info);
        if (r < 0)
                return r;
        if (start->spec->boot && !info.init)
                return -ENOEXEC;
        const PlanInput input = {
                .root = start->root,
                .init = info.init,
                .uuid = info.uuid[0] ? info.uuid : "random",
                .boot_id = "random",
                .has_localtime = info.has_localtime,
        };
        r = plan_new(start->spec, &input, &plan);
        if (r >= 0)
                json_object_set_new(json, "Plan", plan_to_json(plan));
        return r;
}

/* Returns 0 when an error has been replied. */
static int check_properties(Start *start)
{
        STRV_FOREACH (s, start->assignments) {
                _cleanup_free_ char *error = NULL;
                int r = unit_check_property(start->registry->bus, start->registry->property_types, *s, false,
                                            &error);
                if (r == -EINVAL || r == -EOPNOTSUPP)
                        return MIN(reply_invalid(start->call, error), 0);
                if (r < 0)
                        return r;
        }
        return 1;
}

int check_assignments(Registry *registry, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_strv_ Strv assignments = NULL, problems = NULL;
        _cleanup_spec_ Spec *spec = spec_new(NULL);
        int r;

        OOM_CHECK(spec);
        r = sd_bus_message_read_strv(call, &assignments);
        STRV_FOREACH (s, assignments) {
                _cleanup_free_ char *error = NULL;
                if (r >= 0)
                        r = spec_assign_resource(spec, *s, &error);
                if (r >= 0)
                        r = unit_check_property(registry->bus, registry->property_types, *s, true, &error);
                if (r == -EINVAL)
                        r = strv_append(&problems, error);
                if (r == -EOPNOTSUPP)
                        r = 0;
        }
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, problems);
        return r < 0 ? r : sd_bus_send(registry->bus, reply, NULL);
}

int plan_machine(Registry *registry, sd_bus_message *call)
{
        _cleanup_(start_free_cleanup) Start *start = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = start_prepare(registry, call, &start);
        if (r > 0)
                r = check_properties(start);
        if (r <= 0)
                return r;
        json_t *json = json_object();
        r = append_plan(start, json);
        if (r >= 0)
                text = json_dumps(json, JSON_COMPACT);
        json_decref(json);
        if (r == -ENOTDIR)
                return sd_bus_reply_method_errorf(
                        call, SD_BUS_ERROR_NOT_SUPPORTED,
                        "Image '%s' is a disk, which is not looked into for a dry run.", start->spec->image);
        if (r == -ENOEXEC)
                return sd_bus_reply_method_errorf(call, ERROR_NO_SUCH_IMAGE, "Image '%s' has no init.",
                                                  start->spec->image);
        if (r < 0)
                return r;
        OOM_CHECK(text);
        return sd_bus_reply_method_return(call, "s", text);
}

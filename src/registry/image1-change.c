/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Changes of images, which workers make, for org.freedesktop.machine1 and for our own interface. */

#include <fcntl.h>

#include "basic/fd.h"
#include "image/image.h"
#include "registry/machine1.h"
#include "registry/polkit.h"
#include "registry/transfer.h"
#include "registry/worker.h"

/* Whoever runs from an image needs it to stay where it is. Those of mctl the worker looks for once more, under the lock that a
 * start takes; of others nobody else knows. */
const Machine *machine1_image_user(const Registry *registry, const char *name)
{
        size_t from = 0;

        return machine1_image_next_user(registry, name, &from);
}

const Machine *machine1_image_next_user(const Registry *registry, const char *name, size_t *from)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = image1_open(name, NULL, &path);

        if (fd == -ENOENT)
                return NULL;
        while (*from < registry->n_machines) {
                const Machine *m = registry->machines[(*from)++];
                if (m->state != MACHINE_FAILED && (!path || streq_ptr(m->record.root, path)))
                        return m;
        }
        return NULL;
}

/* The one that writes to it. */
static const Machine *find_writer(const Registry *registry, const char *name)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = image1_open(name, NULL, &path);

        for (size_t i = 0; fd >= 0 && i < registry->n_machines; i++) {
                const Machine *m = registry->machines[i];
                if (!m->foreign && m->record.leader > 0 && m->record.image_claim[0] &&
                    streq_ptr(m->record.root, path))
                        return m;
        }
        return NULL;
}

static int reply_busy(sd_bus_message *call, const char *name, const Machine *user)
{
        return sd_bus_reply_method_errorf(call, "System.Error.EBUSY", "Machine '%s' runs from image '%s'.",
                                          user->name, name);
}

static int reply_bad_name(sd_bus_message *call)
{
        return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                          "That is no name for an image of the store.");
}

typedef struct Change {
        const char *manager, *image; /* the names of the methods */
        const char *verb;            /* of polkit, and of the worker behind "image-" */
        const char *types;           /* of the arguments behind the name */
        const char *keys[2];         /* of the worker for these */
        const char *what;            /* of errors */
        bool idle;                   /* only while nothing runs from it */
        WorkerDone done;             /* NULL for an answer without anything in it */
} Change;

/* → (a(ss)), how and what */
static int answer_diff(sd_bus_message *call, const json_t *answer)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        json_t *kind;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ss)");
        json_object_foreach (json_object_get(answer, "changes"), path, kind)
                if (r >= 0)
                        r = sd_bus_message_append(reply, "(ss)", strna(json_string_value(kind)), path);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* → (s), its name */
static int answer_snapshot(sd_bus_message *call, const json_t *answer)
{
        return sd_bus_reply_method_return(call, "s",
                                          strna(json_string_value(json_object_get(answer, "snapshot"))));
}

static const Change changes[] = {
        { "CloneImage", "Clone", "clone", "sb", { "newName", "readOnly" }, "clone" },
        { "CloneImageWithFlags", "CloneWithFlags", "clone", "st", { "newName", "flags" }, "clone" },
        { "RenameImage", "Rename", "rename", "s", { "newName" }, "rename", true },
        { "RemoveImage", "Remove", "remove", "", {}, "remove", true },
        { "MarkImageReadOnly", "MarkReadOnly", "read-only", "b", { "readOnly" }, "change" },
        { "SnapshotImage",
          "Snapshot",
          "snapshot",
          "s",
          { "snapshot" },
          "make a snapshot of",
          .done = answer_snapshot },
        { "RollBackImage", "RollBack", "rollback", "s", { "snapshot" }, "roll back", true, answer_snapshot },
        { "ReplaceImage",
          "Replace",
          "switch",
          "ss",
          { "image", "keep" },
          "replace",
          .done = answer_snapshot },
        { "RevertImage",
          "Revert",
          "switch",
          "ss",
          { "snapshot", "keep" },
          "revert",
          .done = answer_snapshot },
        { "RenameSnapshot",
          "RenameSnapshot",
          "rename-snapshot",
          "ss",
          { "snapshot", "newName" },
          "rename a snapshot of" },
        { "RemoveSnapshot",
          "RemoveSnapshot",
          "remove-snapshot",
          "s",
          { "snapshot" },
          "remove a snapshot of" },
        { "DiffImage", "Diff", "diff", "s", { "snapshot" }, "compare", .done = answer_diff },
        { "SetImageLimit", "SetLimit", "limit", "t", { "limit" }, "limit" },
        { "EnableQuotas", "EnableQuotas", "enable-quotas", "", {}, "switch quotas on for" },
};

static const Change *find_change(sd_bus_message *call)
{
        const char *member = sd_bus_message_get_member(call);
        size_t i = 0;

        while (i + 1 < ELEMENTSOF(changes) && !streq(changes[i].manager, member) &&
               !streq(changes[i].image, member))
                i++;
        assert(streq(changes[i].manager, member) ||
               streq(changes[i].image, member)); /* as the vtables have them */
        return changes + i;
}

/* Adds the arguments of a call to the request. Returns 0 when an error has been replied. */
static int read_arguments(Registry *registry, const Change *change, sd_bus_message *call, json_t *request)
{
        for (size_t i = 0; change->types[i]; i++) {
                union {
                        const char *s;
                        int b;
                        uint64_t t;
                } v;
                int r = sd_bus_message_read_basic(call, change->types[i], &v);
                if (r < 0)
                        return r;
                bool is_snapshot = streq(change->keys[i], "snapshot") || streq(change->keys[i], "keep");
                if (is_snapshot && !isempty(v.s) && !image_name_valid(v.s))
                        return MIN(sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                              "That is no name for a snapshot."),
                                   0);
                if (!is_snapshot && change->types[i] == 's' && !image_new_name_valid(v.s))
                        return MIN(reply_bad_name(call), 0);
                if (!is_snapshot && change->types[i] == 's' && transfer_is_making(registry, v.s))
                        return MIN(sd_bus_reply_method_errorf(call, "System.Error.EBUSY",
                                                              "A transfer of '%s' is under way.", v.s),
                                   0);
                json_object_set_new(request, change->keys[i],
                                    change->types[i] == 's'   ? json_string(v.s)
                                    : change->types[i] == 'b' ? json_boolean(v.b)
                                                              : json_integer((json_int_t) v.t));
        }
        return 1;
}

static int change_authorized(Registry *registry, sd_bus_message *call)
{
        const Change *change = find_change(call);
        _cleanup_free_ char *name = NULL;
        const Machine *user;
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = image1_open_of_call(call, &name, NULL);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        if (streq(name, HOST_NAME))
                return reply_bad_name(call);
        user = change->idle ? machine1_image_user(registry, name) : NULL;
        if (user)
                return reply_busy(call, name, user);
        _cleanup_free_ char *operation = strf("image-%s", change->verb);
        OOM_CHECK(operation);
        json_t *request = json_pack("{ss ss}", "operation", operation, "name", name);
        /* Others know images as systemd has them: what they get is one, and all of it. */
        if (startswith(sd_bus_message_get_path(call), MACHINE1_PATH))
                json_object_set_new(request, "plain", json_true());
        r = read_arguments(registry, change, call, request);
        if (r <= 0) {
                json_decref(request);
                return r;
        }
        /* What is written to while it is looked at is held for that time. */
        user = streq(change->verb, "snapshot") ? find_writer(registry, name) : NULL;
        if (user)
                json_object_set_new(request, "writer", json_string(user->name));
        if (user && !user->paused) {
                json_object_set_new(request, "thaw", json_true());
                json_object_set_new(request, "leader", json_integer(user->record.leader));
                json_object_set_new(request, "startTime",
                                    json_integer((json_int_t) user->record.start_time));
        }
        return worker_start(registry, call, request, -EBADF, change->done, "Failed to %s image '%s'",
                            change->what, name);
}

#define MANAGE_IMAGES   "org.freedesktop.machine1.manage-images"
#define MANAGE_MACHINES "org.freedesktop.machine1.manage-machines"

/* The machines count as they are when it is done, however long somebody took for a password. */
static int refresh_change(Registry *registry, sd_bus_message *call)
{
        return registry_refresh_then(registry, call, change_authorized);
}

int machine1_change_image(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;

        (void) error;
        registry_touch(userdata);
        _cleanup_close_ int fd = image1_open_of_call(call, &name, NULL);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        /* Whoever may change an image need not be one who may see what another one has. */
        const Change *change = find_change(call);
        const char *source = "";
        if (streq_ptr(change->keys[0], "image") && sd_bus_message_read(call, "s", &source) < 0)
                return -EBADMSG;
        return polkit_authorize_with(
                userdata, call,
                startswith(sd_bus_message_get_path(call), MACHINE1_PATH) ? MANAGE_IMAGES
                                                                         : REGISTRY_NAME ".manage-images",
                "", change->verb,
                (char *[]){ (char *) "image", name, (char *) "source", (char *) source, NULL },
                refresh_change);
}

/* → (a(st)), names, and what was theirs alone, in bytes */
static int reply_removed(sd_bus_message *call, const json_t *answer)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        json_t *bytes;
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(st)");
        json_object_foreach (json_object_get(answer, "removed"), name, bytes)
                if (r >= 0)
                        r = sd_bus_message_append(reply, "(st)", name, (uint64_t) json_integer_value(bytes));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* What machines that have a file would be started from. -EINVAL, with a text that the caller frees, where nobody knows. */
static int keep_of_files(json_t *keep, const char *const *places, const char *suffix, char **ret_error)
{
        for (const char *const *place = places; *place; place++) {
                _cleanup_(closedir_cleanup) DIR *dir = opendir(*place);

                if (!dir && errno != ENOENT)
                        return -errno;
                for (struct dirent *e; dir && (e = readdir(dir));) {
                        const char *end = endswith(e->d_name, suffix);
                        _cleanup_free_ char *name = end ? strndup(e->d_name, end - e->d_name) : NULL;
                        _cleanup_strv_ Strv warnings = NULL;
                        _cleanup_spec_ Spec *spec = NULL;
                        if (!name || !machine_name_valid(name) || streq(name, "_default"))
                                continue;
                        int r = spec_merge(name, NULL, &spec, &warnings, ret_error);
                        if (r < 0)
                                return *ret_error ? -EINVAL : r;
                        if (json_array_append_new(keep, json_string(name)) < 0 ||
                            (spec && spec->image &&
                             json_array_append_new(keep, json_string(spec->image)) < 0))
                                return -ENOMEM;
                }
        }
        return 0;
}

static int clean_authorized(Registry *registry, sd_bus_message *call)
{
        bool ours = !startswith(sd_bus_message_get_path(call), MACHINE1_PATH);
        const char *mode;
        int r, dry_run = false;

        r = sd_bus_message_rewind(call, true);
        if (r >= 0)
                r = sd_bus_message_read(call, "s", &mode);
        if (r >= 0 && ours)
                r = sd_bus_message_read(call, "b", &dry_run);
        if (r < 0)
                return r;
        if (!streq(mode, "all") && !streq(mode, "hidden"))
                return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS,
                                                  "Clean 'all' or 'hidden'.");
        json_t *keep = json_array();
        for (size_t i = 0; i < registry->n_machines; i++) {
                const char *name = machine_image(registry->machines[i]);
                if (name[0] != '/' && name[0] && registry->machines[i]->state != MACHINE_FAILED &&
                    json_array_append_new(keep, json_string(name)) < 0) {
                        json_decref(keep);
                        return -ENOMEM;
                }
        }
        if (ours && streq(mode, "all")) {
                _cleanup_free_ char *problem = NULL;
                r = keep_of_files(keep, spec_machine_dirs, ".machine", &problem);
                if (r >= 0)
                        r = keep_of_files(keep, spec_nspawn_dirs, ".nspawn", &problem);
                if (r < 0)
                        json_decref(keep);
                if (r == -EINVAL)
                        return sd_bus_reply_method_errorf(call, "System.Error.EINVAL", "%s", strna(problem));
                if (r < 0)
                        return r;
        }
        return worker_start(registry, call,
                            json_pack("{ss sb sb so}", "operation", "image-clean", "all", streq(mode, "all"),
                                      "dryRun", dry_run, "keep", keep),
                            -EBADF, reply_removed, "Failed to clean the store of images");
}

static int refresh_clean(Registry *registry, sd_bus_message *call)
{
        return registry_refresh_then(registry, call, clean_authorized);
}

int machine1_clean_pool(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        bool ours = !startswith(sd_bus_message_get_path(call), MACHINE1_PATH);
        return polkit_authorize(userdata, call, ours ? REGISTRY_NAME ".manage-images" : MANAGE_MACHINES, "",
                                ours ? "prune" : "clean_pool", refresh_clean);
}

/* → (a(stttas)), name, bytes, bytes that are nobody else's, how many there may be, and who has the others */
static int reply_sizes(sd_bus_message *call, const json_t *answer)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        json_t *image, *other;
        size_t i;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(stttas)");
        json_object_foreach (json_object_get(answer, "images"), name, image) {
                _cleanup_strv_ Strv shares = NULL;
                json_array_foreach (json_object_get(image, "shares"), i, other)
                        if (r >= 0)
                                r = strv_append(&shares, strna(json_string_value(other)));
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'r', "stttas");
                if (r >= 0)
                        r = sd_bus_message_append(
                                reply, "sttt", name,
                                (uint64_t) json_integer_value(json_object_get(image, "size")),
                                (uint64_t) json_integer_value(json_object_get(image, "exclusive")),
                                (uint64_t) json_integer_value(json_object_get(image, "limit")));
                if (r >= 0)
                        r = sd_bus_message_append_strv(reply, shares);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

static int measure_authorized(Registry *registry, sd_bus_message *call)
{
        _cleanup_strv_ Strv names = NULL;
        int r = sd_bus_message_rewind(call, true);

        if (r >= 0)
                r = sd_bus_message_read_strv(call, &names);
        if (r < 0)
                return r;
        json_t *list = json_array();
        STRV_FOREACH (name, names) {
                if (!image_name_valid(*name)) {
                        json_decref(list);
                        return reply_bad_name(call);
                }
                json_array_append_new(list, json_string(*name));
        }
        return worker_start(registry, call,
                            json_pack("{ss so}", "operation", "image-measure", "names", list), -EBADF,
                            reply_sizes, "Failed to measure images");
}

int registry_measure_images(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return polkit_authorize(userdata, call, REGISTRY_NAME ".manage-images", "", "measure",
                                measure_authorized);
}

static int reply_verified(sd_bus_message *call, const json_t *answer)
{
        return sd_bus_reply_method_return(call, "ssb",
                                          json_string_value(json_object_get(answer, "digest")) ?: "",
                                          json_string_value(json_object_get(answer, "rootHash")) ?: "",
                                          json_is_true(json_object_get(answer, "signed")));
}

static int verify_authorized(Registry *registry, sd_bus_message *call)
{
        const char *name;
        int r = sd_bus_message_rewind(call, true);

        if (r >= 0)
                r = sd_bus_message_read(call, "s", &name);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = image1_open(name, NULL, NULL);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        return worker_start(
                registry, call,
                json_pack("{ss ss sb}", "operation", "image-verify", "name", name, "watched", true), -EBADF,
                reply_verified, "Failed to verify image '%s'", name);
}

int registry_verify_image(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *name;
        int r = sd_bus_message_read(call, "s", &name);

        (void) error;
        registry_touch(userdata);
        return r < 0 ? r
                     : polkit_authorize_with(userdata, call, REGISTRY_NAME ".manage-images", "", "verify",
                                             (char *[]){ (char *) "image", (char *) name, NULL },
                                             verify_authorized);
}

static bool is_absolute(const char *path)
{
        return path[0] == '/' && strlen(path) < PATH_MAX && str_is_clean(path);
}

static int mount_authorized(Registry *registry, sd_bus_message *call)
{
        const char *name, *path;
        int read_only, r = sd_bus_message_rewind(call, true);

        if (r >= 0)
                r = sd_bus_message_read(call, "ssb", &name, &path, &read_only);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = image1_open(name, NULL, NULL);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        if (!is_absolute(path) || streq(name, HOST_NAME))
                return reply_bad_name(call);
        return worker_start(registry, call,
                            json_pack("{ss ss ss sb}", "operation", "image-mount", "name", name, "path",
                                      path, "readOnly", read_only),
                            -EBADF, NULL, "Failed to mount image '%s'", name);
}

static int unmount_authorized(Registry *registry, sd_bus_message *call)
{
        const char *where;
        int r = sd_bus_message_rewind(call, true);

        if (r >= 0)
                r = sd_bus_message_read(call, "s", &where);
        if (r < 0)
                return r;
        if (!is_absolute(where) && !image_name_valid(where))
                return reply_bad_name(call);
        return worker_start(registry, call,
                            json_pack("{ss ss}", "operation", "image-unmount", "where", where), -EBADF, NULL,
                            "Failed to unmount '%s'", where);
}

/* MountImage() and UnmountImage() */
int registry_mount_image(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        bool mounting = streq(sd_bus_message_get_member(call), "MountImage");
        const char *name, *path = "";
        int r = sd_bus_message_read(call, mounting ? "ss" : "s", &name, &path);

        (void) error;
        registry_touch(userdata);
        if (r < 0)
                return r;
        return polkit_authorize_with(
                userdata, call, REGISTRY_NAME ".manage-images", "", mounting ? "mount" : "unmount",
                (char *[]){ (char *) "image", (char *) name, (char *) "path", (char *) path, NULL },
                mounting ? mount_authorized : unmount_authorized);
}

static int reply_no_pool(Registry *registry, sd_bus_message *call)
{
        (void) registry;
        return sd_bus_reply_method_errorf(
                call, SD_BUS_ERROR_NOT_SUPPORTED,
                "The store is a directory of the host's file system; limit images, or that.");
}

int machine1_limit_pool(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return polkit_authorize(userdata, call, MANAGE_MACHINES, "", "set_pool_limit", reply_no_pool);
}

int machine1_get_pool(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void) bus;
        (void) path;
        (void) interface;
        (void) userdata;
        (void) error;
        return streq(property, "PoolPath") ? sd_bus_message_append(reply, "s", IMAGE_STORE)
                                           : sd_bus_message_append(reply, "t", UINT64_MAX);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images on org.freedesktop.machine1: what is there, and what it says of itself. They are looked at when somebody asks. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "basic/fd.h"
#include "basic/os-release.h"
#include "basic/rootfs.h"
#include "image/image.h"
#include "image/stack.h"
#include "image/subvolume.h"
#include "registry/machine1.h"
#include "registry/polkit.h"
#include "registry/transfer.h"
#include "registry/worker.h"

#define ERROR_NO_IMAGE "org.freedesktop.machine1.NoSuchImage"
#define IMAGES_MAX     4096U

typedef struct ImageStat {
        ImageType type;
        char *path;
        bool read_only;
        uint64_t created, modified; /* µs since 1970, 0 when it is not known */
        uint64_t size;              /* bytes on disk; UINT64_MAX for what would have to be counted */
} ImageStat;

static void image_stat_clear(ImageStat *st)
{
        free(st->path);
}
#define _cleanup_image_stat_ _cleanup_(image_stat_clear)

/* What of the host is read-only to us is not so for others: its first process sees it as it is. */
#define HOST_ROOT "/proc/1/root"

int image1_open(const char *name, ImageType *ret_type, char **ret_path)
{
        _cleanup_free_ char *file = NULL, *path = NULL;
        bool host = streq(name, HOST_NAME);

        if (!host && !image_name_valid(name))
                return -ENOENT;
        _cleanup_close_ int store_fd = open(host ? HOST_ROOT "/" : HOST_ROOT IMAGE_STORE,
                                            O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (store_fd < 0)
                return -errno;
        _cleanup_close_ int fd = image_open_in(store_fd, host ? "." : name, 0, ret_type, &file);
        if (fd < 0)
                return fd;
        path = host ? strdup("/") : strf(IMAGE_STORE "/%s", file);
        OOM_CHECK(path);
        if (ret_path)
                *ret_path = TAKE_PTR(path);
        return TAKE_FD(fd);
}

static uint64_t to_usec(const struct statx_timestamp *t)
{
        return t->tv_sec < 0 ? 0 : t->tv_sec * USEC_PER_SEC + t->tv_nsec / NSEC_PER_USEC;
}

static int stat_image(const char *name, ImageStat *ret)
{
        _cleanup_free_ char *path = NULL;
        struct statvfs vfs;
        struct statx sx;
        ImageType type;

        _cleanup_close_ int fd = image1_open(name, &type, &path);
        if (fd < 0)
                return fd;
        _cleanup_close_ int read_fd = type == IMAGE_BLOCK ? -EBADF : fd_reopen(fd, O_RDONLY | O_NONBLOCK);
        if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME | STATX_INO | STATX_BLOCKS, &sx) < 0 ||
            fstatvfs(fd, &vfs) < 0)
                return -errno;
        *ret = (ImageStat){
                .type = type,
                .path = TAKE_PTR(path),
                .read_only = (vfs.f_flag & ST_RDONLY) || image_is_read_only(read_fd),
                .size = type == IMAGE_RAW ? sx.stx_blocks * 512 : UINT64_MAX,
                .created = sx.stx_mask & STATX_BTIME ? to_usec(&sx.stx_btime) : 0,
                .modified = to_usec(&sx.stx_mtime),
        };
        return 0;
}

bool machine1_image_is_disk(const char *name)
{
        ImageType type;
        _cleanup_close_ int fd = image1_open(name, &type, NULL);

        return fd >= 0 && type == IMAGE_RAW;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* There may be a directory and a disk of one name; the directory has it then. */
static void remove_doubles(Strv names)
{
        size_t kept = 1;

        for (size_t i = 1; names[0] && names[i]; i++)
                if (streq(names[kept - 1], names[i]))
                        free(names[i]);
                else
                        names[kept++] = names[i];
        names[kept] = NULL;
}

static int list_names(Strv *ret)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir(IMAGE_STORE);
        _cleanup_strv_ Strv names = NULL;
        size_t n = 0;
        int r;

        r = strv_append(&names, HOST_NAME);
        for (struct dirent *e; r >= 0 && dir && n < IMAGES_MAX && (e = readdir(dir));)
                if (image_name_valid(e->d_name) && !streq(e->d_name, "lost+found")) {
                        _cleanup_free_ char *name = NULL;
                        r = image_name_from_file(e->d_name, &name);
                        if (r >= 0)
                                r = strv_append(&names, name);
                        n++;
                }
        if (r < 0 && r != -EINVAL)
                return r;
        qsort(names, strv_length(names), sizeof(char *), compare_names);
        remove_doubles(names);
        *ret = TAKE_PTR(names);
        return 0;
}

static char *object_path(const char *name)
{
        char *path = NULL;

        return sd_bus_path_encode(MACHINE1_IMAGES, name, &path) < 0 ? NULL : path;
}

int machine1_list_images(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_strv_ Strv names = NULL;
        int r;

        (void) error;
        registry_touch(userdata);
        r = list_names(&names);
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssbttto)");
        STRV_FOREACH (name, names) {
                _cleanup_free_ char *path = object_path(*name);
                _cleanup_image_stat_ ImageStat st = {};
                if (r < 0)
                        break;
                if (!path)
                        return -ENOMEM;
                if (stat_image(*name, &st) >= 0)
                        r = sd_bus_message_append(reply, "(ssbttto)", *name, image_type_to_string(st.type),
                                                  st.read_only, st.created, st.modified, st.size, path);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* Opens the image that a call is about, by its object or by the name that it begins with. */
int image1_open_of_call(sd_bus_message *call, char **ret_name, ImageType *ret_type)
{
        const char *name;
        int r;

        r = sd_bus_path_decode(sd_bus_message_get_path(call), MACHINE1_IMAGES, ret_name);
        if (r == 0) {
                r = sd_bus_message_read(call, "s", &name);
                if (r >= 0)
                        r = free_and_strdup(ret_name, name);
        }
        return r < 0 ? r : image1_open(*ret_name, ret_type, NULL);
}

int image1_reply_no_image(sd_bus_message *call, const char *name)
{
        _cleanup_free_ char *shown = str_escape(strna(name));

        return sd_bus_reply_method_errorf(call, ERROR_NO_IMAGE, "No image '%.80s' known.", strna(shown));
}

int machine1_get_image(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL, *path = NULL;

        (void) error;
        registry_touch(userdata);
        _cleanup_close_ int fd = image1_open_of_call(call, &name, NULL);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        path = object_path(name);
        OOM_CHECK(path);
        return sd_bus_reply_method_return(call, "o", path);
}

static int append_told(sd_bus_message *reply, const json_t *answer, const char *key)
{
        _cleanup_strv_ Strv pairs = NULL;
        const json_t *value;
        size_t i;
        int r = 0;

        json_array_foreach (json_object_get(answer, key), i, value)
                if (r >= 0)
                        r = strv_append(&pairs, strna(json_string_value(value)));
        return r < 0 ? r : machine1_append_pairs(reply, pairs);
}

/* The worker has looked into a disk. */
static int answer_disk(sd_bus_message *call, const json_t *answer)
{
        const char *member = sd_bus_message_get_member(call);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0 && endswith(member, "Hostname"))
                r = sd_bus_message_append(reply, "s",
                                          strna(json_string_value(json_object_get(answer, "hostname"))));
        else if (r >= 0 && endswith(member, "MachineID"))
                r = machine1_append_id(reply,
                                       strna(json_string_value(json_object_get(answer, "machineId"))));
        else if (r >= 0)
                r = append_told(reply, answer,
                                endswith(member, "MachineInfo") ? "machineInfo" : "osRelease");
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* The image's own word on itself: its files are read with bounds, as far as they are clean. */
int machine1_ask_image(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *member = sd_bus_message_get_member(call);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_strv_ Strv pairs = NULL;
        _cleanup_free_ char *name = NULL, *text = NULL;
        ImageType type;
        int r;

        (void) error;
        registry_touch(userdata);
        _cleanup_close_ int fd = image1_open_of_call(call, &name, &type);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        /* They are mounted to be looked into. */
        if (type == IMAGE_RAW || type == IMAGE_STACK)
                return worker_start(
                        userdata, call,
                        json_pack("{ss ss sb}", "operation", "image-inspect", "name", name, "staging", true),
                        -EBADF, answer_disk, "Failed to look into image '%s'", name);
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0 && endswith(member, "Hostname")) {
                (void) rootfs_read_file(fd, "/etc/hostname", 256, &text, NULL);
                if (text)
                        text[strcspn(text, "\n")] = 0;
                r = sd_bus_message_append(reply, "s", text && str_is_clean(text) ? text : "");
        } else if (r >= 0 && endswith(member, "MachineID")) {
                (void) image_inspect(fd, &info);
                r = machine1_append_id(reply, info.uuid);
        } else if (r >= 0) {
                if (endswith(member, "MachineInfo"))
                        (void) machine_info_read_all(fd, &pairs);
                else
                        (void) os_release_read_all(fd, &pairs);
                r = machine1_append_pairs(reply, pairs);
        }
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* --- org.mctl.Registry1 ------------------------------------------------------------------------------------------- */

/* The file of the topmost layer that has one is seen. */
static int read_os_of_stack(int stack_fd, Stack *stack, char **ret)
{
        _cleanup_close_ int store_fd = open(HOST_ROOT IMAGE_STORE, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = fd_reopen(stack_fd, O_RDONLY | O_DIRECTORY);
        size_t n;
        int *layers, r;

        r = fd < 0 ? fd : store_fd < 0 ? -errno : stack_read(fd, stack);
        if (r >= 0)
                r = layers_open(store_fd, &stack->layers, &layers, &n);
        if (r < 0)
                return r;
        r = -ENOENT;
        for (size_t i = 0; i < n && r < 0; i++) {
                _cleanup_close_ int upper_fd = i < strv_length(stack->layers.ids)
                                                       ? rootfs_open(layers[i], "/upper",
                                                                     O_PATH | O_DIRECTORY)
                                                       : -EBADF;
                r = os_release_read(upper_fd < 0 ? layers[i] : upper_fd, ret, NULL);
        }
        layers_close(layers, n);
        return r;
}

/* The snapshots of an image, and the layers of a stack. */
static int read_history(int image_fd, ImageType type, Stack *ret)
{
        if (type != IMAGE_STACK && type != IMAGE_SUBVOLUME)
                return 0;
        _cleanup_close_ int fd = fd_reopen(image_fd, O_RDONLY | O_DIRECTORY);
        if (fd < 0 || type == IMAGE_STACK)
                return fd < 0 ? fd : stack_read(fd, ret);
        _cleanup_close_ int store_fd = open(HOST_ROOT IMAGE_STORE, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return store_fd < 0 ? -errno
                            : subvolume_list_snapshots(store_fd, fd, &ret->snapshots, &ret->n_snapshots);
}

static int append_stack(sd_bus_message *m, const Stack *stack)
{
        int r = sd_bus_message_append(m, "{sv}", "Snapshots", "t", (uint64_t) stack->n_snapshots);

        if (r >= 0 && stack->layers.ids)
                r = sd_bus_message_append(m, "{sv}", "Layers", "t",
                                          (uint64_t) strv_length(stack->layers.ids));

        return r < 0 || !stack->layers.base
                       ? r
                       : sd_bus_message_append(m, "{sv}", "Base", "s", stack->layers.base);
}

static int append_users(sd_bus_message *m, const Registry *registry, const char *name)
{
        _cleanup_strv_ Strv users = NULL;
        const Machine *user;
        size_t from = 0;
        int r = 0;

        while (r >= 0 && (user = machine1_image_next_user(registry, name, &from)))
                r = strv_append(&users, user->name);
        if (r < 0 || !users)
                return r;
        r = sd_bus_message_append(m, "{sv}", "Machine", "s", users[0]);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Machines");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, users);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_image(sd_bus_message *m, const Registry *registry, const char *name)
{
        _cleanup_stack_ Stack stack = {};
        _cleanup_free_ char *os = NULL;
        _cleanup_image_stat_ ImageStat st = {};
        int r;

        _cleanup_close_ int fd = image1_open(name, NULL, NULL);
        if (fd < 0 || stat_image(name, &st) < 0)
                return 0; /* gone meanwhile */
        if (st.type == IMAGE_STACK)
                (void) read_os_of_stack(fd, &stack, &os);
        else
                (void) os_release_read(fd, &os, NULL);
        if (st.type == IMAGE_SUBVOLUME)
                (void) read_history(fd, st.type, &stack);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "Name", "s", name, "Type", "s",
                                          image_type_to_string(st.type), "Path", "s", st.path, "ReadOnly",
                                          "b", st.read_only);
        if (r >= 0 && st.created > 0)
                r = sd_bus_message_append(m, "{sv}", "Created", "t", st.created);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Modified", "t", st.modified);
        if (r >= 0 && st.size != UINT64_MAX)
                r = sd_bus_message_append(m, "{sv}", "Size", "t", st.size);
        if (r >= 0 && os)
                r = sd_bus_message_append(m, "{sv}", "OS", "s", os);
        if (r >= 0 && (stack.layers.ids || st.type == IMAGE_SUBVOLUME))
                r = append_stack(m, &stack);
        if (r >= 0)
                r = append_users(m, registry, name);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int list_refreshed(Registry *registry, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_strv_ Strv names = NULL;
        int r = list_names(&names);

        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        STRV_FOREACH (name, names)
                if (r >= 0 && !streq(*name, HOST_NAME))
                        r = append_image(reply, registry, *name);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(registry->bus, reply, NULL);
}

int registry_list_images(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        (void) error;
        registry_touch(userdata);
        return registry_refresh_then(userdata, call, list_refreshed);
}

int registry_list_snapshots(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *name = NULL;
        _cleanup_stack_ Stack stack = {};
        ImageType type;
        int r;

        (void) error;
        registry_touch(userdata);
        _cleanup_close_ int fd = image1_open_of_call(call, &name, &type);
        if (fd < 0)
                return image1_reply_no_image(call, name);
        r = read_history(fd, type, &stack);
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(st)");
        for (size_t i = 0; i < stack.n_snapshots && r >= 0; i++)
                r = sd_bus_message_append(reply, "(st)", stack.snapshots[i].name, stack.snapshots[i].time);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(call), reply, NULL);
}

/* --- varlink ------------------------------------------------------------------------------------------------------ */

static json_t *pairs_to_json(const Strv pairs)
{
        json_t *list = json_array();

        for (size_t i = 0; pairs && pairs[i]; i += 2) {
                _cleanup_free_ char *line = strf("%s=%s", pairs[i], pairs[i + 1]);
                json_array_append_new(list, json_string(strna(line)));
        }
        return list;
}

static void add_metadata(const char *name, json_t *o)
{
        _cleanup_image_info_ ImageInfo info = {};
        _cleanup_strv_ Strv os = NULL, machine = NULL;
        _cleanup_free_ char *hostname = NULL;

        _cleanup_close_ int fd = image1_open(name, NULL, NULL);
        if (fd < 0)
                return;
        (void) rootfs_read_file(fd, "/etc/hostname", 256, &hostname, NULL);
        if (hostname)
                hostname[strcspn(hostname, "\n")] = 0;
        if (hostname && str_is_clean(hostname) && hostname[0])
                json_object_set_new(o, "hostname", json_string(hostname));
        (void) image_inspect(fd, &info);
        if (info.uuid[0])
                json_object_set_new(o, "machineId", json_string(info.uuid));
        (void) machine_info_read_all(fd, &machine);
        (void) os_release_read_all(fd, &os);
        json_object_set_new(o, "machineInfo", pairs_to_json(machine));
        json_object_set_new(o, "OSRelease", pairs_to_json(os));
}

static json_t *describe(const char *name, bool metadata)
{
        _cleanup_image_stat_ ImageStat st = {};
        json_t *o;

        if (stat_image(name, &st) < 0)
                return NULL;
        o = json_pack("{ss ss* ss ss sb}", "name", name, "path", st.path, "type",
                      image_type_to_string(st.type), "class", "machine", "readOnly", st.read_only);
        if (st.size != UINT64_MAX)
                json_object_set_new(o, "usage", json_integer((json_int_t) st.size));
        if (st.created > 0)
                json_object_set_new(o, "creationTimestamp", json_integer((json_int_t) st.created));
        json_object_set_new(o, "modificationTimestamp", json_integer((json_int_t) st.modified));
        if (metadata)
                add_metadata(name, o);
        return o;
}

int machine1_varlink_list_images(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const json_t *one = json_object_get(parameters, "name");
        const char *acquire = json_string_value(json_object_get(parameters, "acquireMetadata"));
        bool metadata = acquire && !streq(acquire, "no");
        _cleanup_strv_ Strv names = NULL;
        json_t *previous = NULL;
        int r;

        registry_touch(userdata);
        if (one && !json_is_null(one)) {
                if (!json_is_string(one))
                        return varlink_invalid(c, "name");
                previous = describe(json_string_value(one), metadata);
                return previous ? varlink_reply(c, previous, false)
                                : varlink_error(c, "io.systemd.MachineImage.NoSuchImage", NULL);
        }
        if (!more)
                return varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
        r = list_names(&names);
        STRV_FOREACH (name, names) {
                json_t *next = r >= 0 ? describe(*name, metadata) : NULL;
                if (next && previous)
                        r = varlink_reply(c, previous, true);
                if (next)
                        previous = next;
        }
        if (r < 0)
                return r;
        return previous ? varlink_reply(c, previous, false)
                        : varlink_error(c, "io.systemd.MachineImage.NoSuchImage", NULL);
}

/* --- one image ---------------------------------------------------------------------------------------------------- */

static int object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                       sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, MACHINE1_IMAGES, &name);
        if (r <= 0)
                return r;
        _cleanup_close_ int fd = image1_open(name, NULL, NULL);
        *ret = userdata;
        return fd >= 0;
}

static int node_enumerate(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error)
{
        _cleanup_strv_ Strv names = NULL, nodes = NULL;
        int r;

        (void) bus;
        (void) path;
        (void) userdata;
        (void) error;
        r = list_names(&names);
        STRV_FOREACH (name, names)
                if (r >= 0)
                        r = strv_consume(&nodes, object_path(*name));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(nodes);
        return 1;
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        _cleanup_image_stat_ ImageStat st = {};
        _cleanup_free_ char *name = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) userdata;
        (void) error;
        r = sd_bus_path_decode(path, MACHINE1_IMAGES, &name);
        if (r >= 0)
                r = stat_image(name, &st);
        if (r < 0)
                return r;
        if (streq(property, "Name"))
                return sd_bus_message_append(reply, "s", name);
        if (streq(property, "Path"))
                return sd_bus_message_append(reply, "s", st.path);
        if (streq(property, "Type"))
                return sd_bus_message_append(reply, "s", image_type_to_string(st.type));
        if (startswith(property, "Usage"))
                return sd_bus_message_append(reply, "t", st.size);
        if (streq(property, "ReadOnly"))
                return sd_bus_message_append(reply, "b", st.read_only);
        if (streq(property, "CreationTimestamp"))
                return sd_bus_message_append(reply, "t", st.created);
        if (streq(property, "ModificationTimestamp"))
                return sd_bus_message_append(reply, "t", st.modified);
        return sd_bus_message_append(reply, "t", UINT64_MAX); /* limits of quota groups */
}

const sd_bus_vtable machine1_image_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_property, 0, 0),
        SD_BUS_PROPERTY("Path", "s", get_property, 0, 0),
        SD_BUS_PROPERTY("Type", "s", get_property, 0, 0),
        SD_BUS_PROPERTY("ReadOnly", "b", get_property, 0, 0),
        SD_BUS_PROPERTY("CreationTimestamp", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("ModificationTimestamp", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("Usage", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("Limit", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("UsageExclusive", "t", get_property, 0, 0),
        SD_BUS_PROPERTY("LimitExclusive", "t", get_property, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("Clone", SD_BUS_ARGS("s", new_name, "b", read_only), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Rename", SD_BUS_ARGS("s", new_name), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MarkReadOnly", SD_BUS_ARGS("b", read_only), SD_BUS_NO_RESULT,
                                machine1_change_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetLimit", SD_BUS_ARGS("t", limit), SD_BUS_NO_RESULT, machine1_change_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineInfo", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{ss}", machine_info),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetHostname", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", hostname),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMachineID", SD_BUS_NO_ARGS, SD_BUS_RESULT("ay", machine_id),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetOSRelease", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{ss}", os_release),
                                machine1_ask_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int machine1_images_setup(Registry *registry)
{
        int r = sd_bus_add_fallback_vtable(registry->bus, NULL, MACHINE1_IMAGES, MACHINE1_IMAGE,
                                           machine1_image_vtable, object_find, registry);

        return r < 0 ? r
                     : sd_bus_add_node_enumerator(registry->bus, NULL, MACHINE1_IMAGES, node_enumerate,
                                                  registry);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Objects of images on org.freedesktop.machine1. A child reads the store, so a call for properties or for
 * the list of objects is answered later. Such calls are taken before sd-bus, which would answer them at
 * once. */

#include "api/machine1.h"
#include "basic/names.h"
#include "manager/images.h"

/* --- answers ------------------------------------------------------------------------------------------- */

static int append_image(sd_bus_message *m, const ImageEntry *image)
{
        _cleanup_free_ char *path = bus_path(MACHINE1_IMAGES, image->name);

        OOM_CHECK(path);
        return sd_bus_message_append(m, "(ssbttto)", image->name, image->type, (int) image->read_only,
                                     image->created, image->modified, image->size, path);
}

int image1_append_list(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const ListAnswer *list = answer;
        int r = sd_bus_message_open_container(reply, 'a', "(ssbttto)");

        (void) call;
        for (size_t i = 0; i < list->n_images && r >= 0; i++)
                r = append_image(reply, list->images + i);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int image1_append_path(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        _cleanup_free_ char *path = bus_path(MACHINE1_IMAGES, call->call.target);

        (void) answer;
        OOM_CHECK(path);
        return sd_bus_message_append(reply, "o", path);
}

/* --- properties ---------------------------------------------------------------------------------------- */

/* The value for limits of quota groups, which no image has. */
#define NO_MEMBER SIZE_MAX

static const struct {
        const char *name, *type;
        size_t member;
} image_properties[] = {
        { "Name", "s", offsetof(ImageEntry, name) },
        { "Path", "s", offsetof(ImageEntry, path) },
        { "Type", "s", offsetof(ImageEntry, type) },
        { "ReadOnly", "b", offsetof(ImageEntry, read_only) },
        { "CreationTimestamp", "t", offsetof(ImageEntry, created) },
        { "ModificationTimestamp", "t", offsetof(ImageEntry, modified) },
        { "Usage", "t", offsetof(ImageEntry, size) },
        { "Limit", "t", NO_MEMBER },
        { "UsageExclusive", "t", offsetof(ImageEntry, size) },
        { "LimitExclusive", "t", NO_MEMBER },
};

/* Appends a field as a variant. */
static int append_property(sd_bus_message *m, const ImageEntry *image, size_t i)
{
        const void *value = (const uint8_t *) image + image_properties[i].member;

        if (image_properties[i].member == NO_MEMBER)
                return sd_bus_message_append(m, "v", "t", UINT64_MAX);
        switch (image_properties[i].type[0]) {
        case 's':
                return sd_bus_message_append(m, "v", "s", *(char *const *) value ?: "");
        case 'b':
                return sd_bus_message_append(m, "v", "b", (int) *(const bool *) value);
        default:
                return sd_bus_message_append(m, "v", "t", *(const uint64_t *) value);
        }
}

static int append_one(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const ListAnswer *list = answer;
        const char *interface, *property;
        int r = sd_bus_message_rewind(call->message, true);

        if (r >= 0)
                r = sd_bus_message_read(call->message, "ss", &interface, &property);
        for (size_t i = 0; i < ELEMENTSOF(image_properties) && r >= 0 && list->n_images == 1; i++)
                if (streq(image_properties[i].name, property))
                        return append_property(reply, list->images, i);
        return r < 0 ? r : -ENOENT;
}

static int append_all(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const ListAnswer *list = answer;
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        (void) call;
        for (size_t i = 0; i < ELEMENTSOF(image_properties) && r >= 0 && list->n_images == 1; i++) {
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", image_properties[i].name);
                if (r >= 0)
                        r = append_property(reply, list->images, i);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_nodes(const BusCall *call, sd_bus_message *reply, const void *answer)
{
        const ListAnswer *list = answer;
        _cleanup_strv_ Strv lines = NULL;
        _cleanup_free_ char *text = NULL;
        int r = strv_append(&lines, "<node>");

        (void) call;
        for (size_t i = 0; i < list->n_images && r >= 0; i++) {
                _cleanup_free_ char *path = bus_path(MACHINE1_IMAGES, list->images[i].name);
                OOM_CHECK(path);
                r = strv_appendf(&lines, " <node name=\"%s\"/>", path + strlen(MACHINE1_IMAGES "/"));
        }
        if (r >= 0)
                r = strv_append(&lines, "</node>\n");
        text = r < 0 ? NULL : strv_join(lines, "\n");
        OOM_CHECK(text);
        return sd_bus_message_append(reply, "s", text);
}

static const BusMethod get_one = { .operation = &operation_get_image, .append = append_one },
                       get_all = { .operation = &operation_get_image, .append = append_all },
                       introspect = { .operation = &operation_list_images, .append = append_nodes };

/* Whether a message asks for properties of an image. */
static const BusMethod *find_question(sd_bus_message *m)
{
        const char *interface, *property = "Name";
        bool one = sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get") > 0;

        if (!one && sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll") <= 0)
                return NULL;
        int r = sd_bus_message_read(m, one ? "ss" : "s", &interface, &property);
        (void) sd_bus_message_rewind(m, true);
        if (r < 0 || (!streq(interface, MACHINE1_IMAGE) && !isempty(interface)))
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(image_properties); i++)
                if (streq(image_properties[i].name, property))
                        return one ? &get_one : &get_all;
        return NULL;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const BusMethod *question;
        _cleanup_free_ char *name = NULL;

        (void) error;
        if (streq(sd_bus_message_get_path(m), MACHINE1_IMAGES))
                return sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Introspectable",
                                                     "Introspect") > 0
                               ? bus_door_call(userdata, m, &introspect, NULL)
                               : 0;
        question = find_question(m);
        if (!question || sd_bus_path_decode(sd_bus_message_get_path(m), MACHINE1_IMAGES, &name) <= 0)
                return 0;
        return bus_door_call(userdata, m, question, name);
}

/* sd-bus never calls this getter: all calls for properties have been answered before. */
static int get_nothing(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) reply;
        (void) userdata;
        (void) error;
        return -EOPNOTSUPP;
}

static const sd_bus_vtable properties[] = {
        SD_BUS_PROPERTY("Name", "s", get_nothing, 0, 0),
        SD_BUS_PROPERTY("Path", "s", get_nothing, 0, 0),
        SD_BUS_PROPERTY("Type", "s", get_nothing, 0, 0),
        SD_BUS_PROPERTY("ReadOnly", "b", get_nothing, 0, 0),
        SD_BUS_PROPERTY("CreationTimestamp", "t", get_nothing, 0, 0),
        SD_BUS_PROPERTY("ModificationTimestamp", "t", get_nothing, 0, 0),
        SD_BUS_PROPERTY("Usage", "t", get_nothing, 0, 0),
        SD_BUS_PROPERTY("Limit", "t", get_nothing, 0, 0),
        SD_BUS_PROPERTY("UsageExclusive", "t", get_nothing, 0, 0),
        SD_BUS_PROPERTY("LimitExclusive", "t", get_nothing, 0, 0),
        SD_BUS_VTABLE_END,
};

/* Each valid name of an image has an object. Answers of the object report whether the image exists. */
static int find_image(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                      sd_bus_error *error)
{
        _cleanup_free_ char *name = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) error;
        r = sd_bus_path_decode(path, MACHINE1_IMAGES, &name);
        *ret = userdata;
        return r <= 0 ? r : streq(name, HOST_NAME) || image_name_valid(name);
}

int image1_add(BusDoor *door, const BusMethod *methods)
{
        int r = sd_bus_add_fallback(door->bus, NULL, MACHINE1_IMAGES, on_message, door);

        return r < 0 ? r
                     : bus_door_add_objects(door, MACHINE1_IMAGES, MACHINE1_IMAGE, TARGET_IMAGE, methods,
                                            properties, find_image);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* io.systemd.MachineImage; see machine-varlink.h. */

#include "api/door.h"
#include "api/machine-varlink.h"
#include "manager/image-change.h"
#include "manager/images.h"

#define IMAGE "io.systemd.MachineImage."

/* --- what is there ------------------------------------------------------------------------------------- */

static json_t *pairs_to_json(const Strv pairs)
{
        json_t *list = json_array();

        for (size_t i = 0; pairs && pairs[i]; i += 2) {
                _cleanup_free_ char *line = strf("%s=%s", pairs[i], pairs[i + 1]);
                json_array_append_new(list, json_string(strna(line)));
        }
        return list;
}

static void add_metadata(json_t *o, const ImageEntry *image)
{
        if (!isempty(image->hostname))
                json_object_set_new(o, "hostname", json_string(image->hostname));
        if (image->machine_id[0])
                json_object_set_new(o, "machineId", json_string(image->machine_id));
        json_object_set_new(o, "machineInfo", pairs_to_json(image->machine_info));
        json_object_set_new(o, "OSRelease", pairs_to_json(image->os_release));
}

static json_t *describe(const ImageEntry *image, bool metadata)
{
        json_t *o = json_pack("{ss ss* ss ss sb}", "name", image->name, "path", image->path, "type",
                              image->type, "class", "machine", "readOnly", (int) image->read_only);

        if (image->size != UINT64_MAX)
                json_object_set_new(o, "usage", json_integer((json_int_t) image->size));
        if (image->created > 0)
                json_object_set_new(o, "creationTimestamp", json_integer((json_int_t) image->created));
        json_object_set_new(o, "modificationTimestamp", json_integer((json_int_t) image->modified));
        if (metadata)
                add_metadata(o, image);
        return o;
}

static int read_list(const json_t *parameters, void *arguments, const char **ret_wrong)
{
        const char *acquire = json_string_value(json_object_get(parameters, "acquireMetadata"));
        ListImagesArguments *a = arguments;

        (void) ret_wrong;
        a->metadata = acquire && !streq(acquire, "no");
        return 0;
}

static void answer_list(VarlinkCall *waiting, const Call *call, const void *answer)
{
        const ListImagesArguments *a = call->arguments;
        const ListAnswer *list = answer;

        for (size_t i = 0; i + 1 < list->n_images; i++)
                varlink_continue(waiting, describe(list->images + i, a->metadata));
        if (list->n_images > 0)
                varlink_finish(waiting, NULL, describe(list->images + list->n_images - 1, a->metadata),
                               -EBADF);
        else
                varlink_finish(waiting, IMAGE "NoSuchImage", NULL, -EBADF);
}

static const DoorMethod list_method = { IMAGE "List", &operation_list_images, NULL, read_list, answer_list },
                        get_method = { IMAGE "List", &operation_get_image, NULL, read_list, answer_list };

int image_varlink_list(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const json_t *name = json_object_get(parameters, "name");

        if (name && !json_is_null(name))
                return json_is_string(name)
                               ? door_call(c, userdata, &get_method, parameters, json_string_value(name))
                               : varlink_invalid(c, "name");
        return more ? door_call(c, userdata, &list_method, parameters, NULL)
                    : varlink_error(c, "org.varlink.service.ExpectedMore", NULL);
}

/* --- changes ------------------------------------------------------------------------------------------- */

static void answer_removed(VarlinkCall *waiting, const Call *call, const void *answer)
{
        const CleanAnswer *clean = answer;
        json_t *last = NULL;

        (void) call;
        for (size_t i = 0; i < clean->n_removed; i++) {
                if (last)
                        varlink_continue(waiting, last);
                last = json_pack("{ss}", "name", clean->removed[i].name);
        }
        varlink_finish(waiting, NULL, last, -EBADF);
}

static const DoorMethod changes[] = {
        { IMAGE "Clone", &operation_clone_image, "newName" },
        { IMAGE "Remove", &operation_remove_image },
        { IMAGE "Update", &operation_update_image },
        { IMAGE "SetPoolLimit", &operation_limit_pool, "limit" },
        { IMAGE "CleanPool", &operation_clean_images, "mode", .answered = answer_removed },
        {},
};

int image_varlink_change(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata)
{
        const DoorMethod *method = door_find(changes, c);
        const json_t *name = json_object_get(parameters, "name");

        if (method->operation->target != TARGET_IMAGE)
                return method->answered && !more ? varlink_error(c, "org.varlink.service.ExpectedMore", NULL)
                                                 : door_call(c, userdata, method, parameters, NULL);
        return json_is_string(name) ? door_call(c, userdata, method, parameters, json_string_value(name))
                                    : varlink_invalid(c, "name");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Changes of images in the store. */

#include "image/store.h"
#include "spec/spec.h"
#include "work/work.h"

static const char *text(const Request *request, const char *key)
{
        return json_string_value(json_object_get(request->json, key)) ?: "";
}

static int explain(const Request *request, int r, char **ret_error)
{
        if (r == -ENOENT)
                return set_failure(ret_error, r, "There is no image '%s'.", text(request, "name"));
        if (r == -EEXIST)
                return set_failure(ret_error, r, "There is something called '%s' already.",
                                   text(request, "newName"));
        if (r == -EOPNOTSUPP)
                return set_failure(ret_error, r, "The file system of image '%s' cannot do that.",
                                   text(request, "name"));
        return r;
}

int work_image_clone(const Request *request, char **ret_error)
{
        _cleanup_free_ char *failed = NULL;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        int r = store_clone(store_fd, text(request, "name"), text(request, "newName"),
                            request_flag(request, "readOnly"), &failed);
        if (r < 0 && failed)
                return set_failure(ret_error, r, "'%s': %s", failed, strerror(-r));
        return explain(request, r, ret_error);
}

int work_image_rename(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);

        return explain(request,
                       store_fd < 0
                               ? store_fd
                               : store_rename(store_fd, text(request, "name"), text(request, "newName")),
                       ret_error);
}

int work_image_remove(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);

        return explain(request, store_fd < 0 ? store_fd : store_remove(store_fd, text(request, "name")),
                       ret_error);
}

int work_image_read_only(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);

        return explain(request,
                       store_fd < 0 ? store_fd
                                    : store_set_read_only(store_fd, text(request, "name"),
                                                          request_flag(request, "readOnly")),
                       ret_error);
}

int work_image_limit(const Request *request, char **ret_error)
{
        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        json_int_t limit = json_integer_value(json_object_get(request->json, "limit"));

        return explain(request,
                       store_fd < 0 ? store_fd
                                    : store_set_limit(store_fd, text(request, "name"), (uint64_t) limit),
                       ret_error);
}

int work_image_clean(const Request *request, char **ret_error)
{
        json_t *kept = json_object_get(request->json, "keep"), *value;
        _cleanup_strv_ Strv keep = NULL, removed = NULL;
        size_t i;
        int r = 0;

        _cleanup_close_ int store_fd = store_open(IMAGE_STORE);
        if (store_fd < 0)
                return store_fd;
        json_array_foreach (kept, i, value)
                if (r >= 0)
                        r = strv_append(&keep, json_string_value(value));
        if (r >= 0)
                r = store_clean(store_fd, request_flag(request, "all"), keep, &removed);
        if (r < 0)
                return explain(request, r, ret_error);
        json_t *names = json_array();
        STRV_FOREACH (name, removed)
                json_array_append_new(names, json_string(*name));
        return json_object_set_new(request->answer, "removed", names) < 0 ? -ENOMEM : 0;
}

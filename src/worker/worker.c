/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "worker/worker.h"

const char *request_text(const Request *request, const char *key)
{
        return json_string_value(json_object_get(request->json, key)) ?: "";
}

bool request_flag(const Request *request, const char *key)
{
        return json_is_true(json_object_get(request->json, key));
}

int path_split(const char *path, char **ret_parent, char **ret_name)
{
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/')
                n--;
        _cleanup_free_ char *copy = strndup(path, n);
        OOM_CHECK(copy);
        char *slash = strrchr(copy, '/');
        if (!slash || !slash[1] || streq(slash + 1, ".") || streq(slash + 1, ".."))
                return -EINVAL;
        _cleanup_free_ char *name = strdup(slash + 1);
        OOM_CHECK(name);
        slash[slash == copy] = 0;
        *ret_parent = TAKE_PTR(copy);
        *ret_name = TAKE_PTR(name);
        return 0;
}

int set_failure(char **ret_error, int r, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_error, format, ap) < 0)
                *ret_error = NULL;
        va_end(ap);
        return r;
}

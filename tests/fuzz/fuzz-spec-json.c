/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A spec as JSON: what is taken must come out again as something that is taken. */

#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size), *error = NULL, *again = NULL;
        _cleanup_spec_ Spec *spec = spec_new("fuzz"), *copy = spec_new("fuzz");

        if (!text || !spec || !copy || spec_from_json_text(spec, SPEC_SOURCE_COMMAND, text, &error) < 0)
                return 0;
        json_t *json = spec_to_json(spec, true);
        if (spec_from_json(copy, SPEC_SOURCE_COMMAND, json, &again) < 0)
                abort();
        json_decref(json);
        return 0;
}

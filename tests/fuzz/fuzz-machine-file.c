/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A machine file, and what is made of it: read, judged, written and read again. */

#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size), *written = NULL, *error = NULL,
                            *again = NULL;
        _cleanup_spec_ Spec *spec = spec_new("fuzz"), *copy = spec_new("fuzz");
        _cleanup_strv_ Strv warnings = NULL;

        if (!text || !spec || !copy)
                return 0;
        if (spec_read_file(spec, SPEC_SOURCE_FILE, "f", size % 2, text, &warnings, &error) < 0)
                return 0;
        (void) spec_validate(spec, &again);
        int r = spec_to_text(spec, true, &written);
        if (r == -EINVAL) /* a value that a file cannot hold */
                return 0;
        if (r < 0)
                abort();
        free(TAKE_PTR(error));
        (void) spec_read_file(copy, SPEC_SOURCE_FILE, "g", false, written, &warnings, &error);
        return 0;
}

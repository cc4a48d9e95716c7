/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* os-release(5) of a container: what is taken of it is clean. */

#include "basic/os-release.h"
#include "basic/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const keys[] = { "PRETTY_NAME", "NAME", "ID" };
        _cleanup_free_ char *text = strndup((const char *) data, size);

        for (size_t i = 0; text && i < ELEMENTSOF(keys); i++) {
                _cleanup_free_ char *value = os_release_field(text, keys[i]);
                if (value && !str_is_clean(value))
                        abort();
        }
        return 0;
}

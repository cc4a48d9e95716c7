/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/specifier.h"

#include <sys/utsname.h>

#include "basic/fd.h"

#define SMALL_FILE_MAX 4096U

/* Reads the first line of a small file; "" if the file cannot be read. */
static int read_line(const char *path, char **ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read_at(AT_FDCWD, path, SMALL_FILE_MAX, &text, NULL);
        if (r < 0)
                text = strdup("");
        OOM_CHECK(text);
        text[strcspn(text, "\n")] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

static int specifier(const Spec *spec, char letter, char **ret)
{
        struct utsname uts;
        int r = 0;

        (void) uname(&uts);
        switch (letter) {
        case '%':
                *ret = strdup("%");
                break;
        case 'i':
        case 'n':
                *ret = strdup(spec->name);
                break;
        case 'H':
                *ret = strdup(uts.nodename);
                break;
        case 'v':
                *ret = strdup(uts.release);
                break;
        case 'a':
                *ret = strdup(uts.machine);
                break;
        case 'm':
                r = read_line("/etc/machine-id", ret);
                break;
        case 'b':
                r = read_line("/proc/sys/kernel/random/boot_id", ret);
                for (char *p = r < 0 ? NULL : *ret, *q = p; p && (*q = *p); p++)
                        q += *p != '-';
                break;
        default:
                return -EINVAL;
        }
        return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

int spec_expand(const Spec *spec, const char *value, char **ret)
{
        _cleanup_free_ char *out = strdup("");
        int r;

        OOM_CHECK(out);
        for (const char *p = value; *p;) {
                size_t n = strcspn(p, "%");
                _cleanup_free_ char *expanded = NULL;

                if (n == 0) {
                        r = p[1] ? specifier(spec, p[1], &expanded) : -EINVAL;
                        if (r < 0)
                                return r;
                }
                char *longer = n > 0 ? strf("%s%.*s", out, (int) n, p) : strf("%s%s", out, expanded);
                OOM_CHECK(longer);
                free(out);
                out = longer;
                p += n > 0 ? n : 2;
        }
        *ret = TAKE_PTR(out);
        return 0;
}

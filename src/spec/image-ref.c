/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/image-ref.h"

#include <ctype.h>
#include <limits.h>

#include "basic/names.h"

#define REFERENCE_MAX 1024U
#define TAG_MAX       128U
#define DIGEST_MIN    32U

static const char *const transports[] = { "oci:", "oci-archive:", "docker-archive:", "dir:", "docker://" };

/* --- the parts of an OCI reference --------------------------------------------------------------------- */

static bool is_alnum(char c)
{
        return isalnum((unsigned char) c);
}

static bool is_lower(char c)
{
        return is_alnum(c) && !isupper((unsigned char) c);
}

/* Whether `s` is a component of a path, such as "library": words of lower-case letters and digits,
 * separated by '.', '_', "__" or dashes. */
static bool is_component(const char *s, size_t n)
{
        size_t i = 0;

        if (n == 0 || !is_lower(s[0]) || !is_lower(s[n - 1]))
                return false;
        while (i < n) {
                size_t begin = i;

                while (i < n && is_lower(s[i]))
                        i++;
                if (i == n)
                        return true;
                begin = i;
                while (i < n && s[i] == s[begin] && strchr("._-", s[i]))
                        i++;
                size_t length = i - begin;
                if (length == 0 || (s[begin] == '.' && length > 1) || (s[begin] == '_' && length > 2))
                        return false;
        }
        return false;
}

/* Whether the first component of several looks like a host: "docker.io", "localhost", "registry:5000". */
static bool is_domain(const char *s, size_t n)
{
        size_t host = 0, port;

        while (host < n && (is_alnum(s[host]) || s[host] == '-' || s[host] == '.'))
                host++;
        if (host == 0 || s[0] == '-' || s[0] == '.' || s[host - 1] == '-' || s[host - 1] == '.')
                return false;
        if (host == n)
                return memchr(s, '.', n) || (n == 9 && strncmp(s, "localhost", n) == 0);
        port = n - host - 1;
        for (size_t i = host + 1; i < n; i++)
                if (!isdigit((unsigned char) s[i]))
                        return false;
        return s[host] == ':' && port > 0 && port <= 5;
}

static bool is_tag(const char *s, size_t n)
{
        if (n == 0 || n > TAG_MAX || !(is_alnum(s[0]) || s[0] == '_'))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_alnum(s[i]) && !strchr("_.-", s[i]))
                        return false;
        return true;
}

/* Whether `s` is a digest, "sha256:…". */
static bool is_digest(const char *s)
{
        const char *colon = strchr(s, ':');

        if (!colon || !is_component(s, colon - s) || strlen(colon + 1) < DIGEST_MIN)
                return false;
        for (const char *c = colon + 1; *c; c++)
                if (!isxdigit((unsigned char) *c) || isupper((unsigned char) *c))
                        return false;
        return true;
}

/* Whether `s` is the path of a repository, which may begin with the host of its registry. */
static bool is_repository(const char *s, size_t n)
{
        const char *end = s + n, *slash = memchr(s, '/', n);

        if (slash && is_domain(s, slash - s))
                s = slash + 1;
        for (const char *next; s <= end; s = next + 1) {
                next = memchr(s, '/', end - s) ?: end;
                if (!is_component(s, next - s))
                        return false;
        }
        return true;
}

/* Sets the base name of a reference. False if the text is no reference. */
static bool parse_oci(const char *text, ImageRef *ret)
{
        const char *at = strchr(text, '@'), *end = at ?: text + strlen(text), *slash, *colon;

        if (strlen(text) > REFERENCE_MAX || (at && !is_digest(at + 1)))
                return false;
        slash = memrchr(text, '/', end - text);
        ret->base = slash ? slash + 1 : text;
        colon = memchr(ret->base, ':', end - ret->base);
        ret->n_base = (colon ?: end) - ret->base;
        return (!colon || is_tag(colon + 1, end - colon - 1)) && is_repository(text, (colon ?: end) - text);
}

/* --- references ---------------------------------------------------------------------------------------- */

static void set_base_of_path(const char *path, ImageRef *ret)
{
        const char *slash = strrchr(path, '/');

        ret->base = slash ? slash + 1 : path;
        ret->n_base = strlen(ret->base);
}

static const char *find_transport(const char *text)
{
        for (size_t i = 0; i < ELEMENTSOF(transports); i++) {
                const char *rest = startswith(text, transports[i]);
                if (rest)
                        return rest;
        }
        return NULL;
}

int image_ref_parse(const char *text, ImageRef *ret)
{
        const char *rest = find_transport(text);

        *ret = (ImageRef){ .text = text, .rest = rest ?: text };
        if (!str_is_clean(text) || strlen(text) >= PATH_MAX)
                return -EINVAL;
        if (text[0] == '/' || startswith(text, "./") || startswith(text, "../") || streq(text, ".") ||
            streq(text, "..")) {
                ret->kind = IMAGE_REF_PATH;
                set_base_of_path(text, ret);
                return 0;
        }
        if (rest) {
                ret->kind = IMAGE_REF_TRANSPORT;
                set_base_of_path(rest, ret);
                return isempty(rest) ? -EINVAL : 0;
        }
        if (image_name_valid(text)) {
                ret->kind = IMAGE_REF_NAME;
                /* A machine image can have the name "alpine:3.20". An OCI image of this name has the base
                 * name "alpine". */
                if (!strpbrk(text, ":@") || !parse_oci(text, ret))
                        set_base_of_path(text, ret);
                return 0;
        }
        ret->kind = IMAGE_REF_OCI;
        return parse_oci(text, ret) ? 0 : -EINVAL;
}

char *image_ref_describe_missing(const ImageRef *ref, const char *store)
{
        ImageRef as_oci = *ref;

        switch (ref->kind) {
        case IMAGE_REF_TRANSPORT:
                return strf("'%s' is an OCI image, which cannot be taken from there yet.", ref->text);
        case IMAGE_REF_NAME:
                if (!strpbrk(ref->text, ":@") || !parse_oci(ref->text, &as_oci))
                        return strf("No image '%s' in %s.", ref->text, store);
                break;
        default:
                break;
        }
        return strf("'%s' is an OCI image, and there is none of that name here.", ref->text);
}

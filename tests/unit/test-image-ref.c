/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec/image-ref.h"
#include "test.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What each reference is, and what a machine that runs from it is called by. */
static const struct {
        const char *text;
        ImageRefKind kind;
        const char *base;
} references[] = {
        { "/srv/tree", IMAGE_REF_PATH, "tree" },
        { "./tree", IMAGE_REF_PATH, "tree" },
        { "../a/disk.raw", IMAGE_REF_PATH, "disk.raw" },
        { ".", IMAGE_REF_PATH, "." },
        { "debian", IMAGE_REF_NAME, "debian" },
        { "Debian 12", IMAGE_REF_NAME, "Debian 12" },
        { "alpine:3.20", IMAGE_REF_NAME, "alpine" },
        { "alpine@sha256:" HEX64, IMAGE_REF_NAME, "alpine" },
        { HEX64, IMAGE_REF_NAME, HEX64 },
        { "library/alpine", IMAGE_REF_OCI, "alpine" },
        { "docker.io/library/alpine", IMAGE_REF_OCI, "alpine" },
        { "docker.io/library/alpine:3.20@sha256:" HEX64, IMAGE_REF_OCI, "alpine" },
        { "localhost:5000/x/my__app-1.2", IMAGE_REF_OCI, "my__app-1.2" },
        { "[::1]", IMAGE_REF_NAME, "[::1]" },
        { "oci:/srv/layout", IMAGE_REF_TRANSPORT, "layout" },
        { "docker://quay.io/x/y", IMAGE_REF_TRANSPORT, "y" },
        { "docker-archive:x.tar", IMAGE_REF_TRANSPORT, "x.tar" },
};

static const char *const invalid[] = {
        "",          "a\nb",          "Docker.io/Library/Alpine",
        "a//b",      "a/b:",          "a/b:" HEX64 HEX64 "x",
        "a/b@sha",   "a/b@sha256:12", "-a/b",
        "a/.b",      "a/b___c",       "oci:",
        "a/b/",      ".hidden",       "a/b@sha256:" HEX64 "Z",
        "x:99/a_/b", "a/b c",
};

static void test_kinds(void)
{
        for (size_t i = 0; i < ELEMENTSOF(references); i++) {
                ImageRef ref;

                if (!CHECK_INT(image_ref_parse(references[i].text, &ref), 0))
                        continue;
                _cleanup_free_ char *base = strndup(ref.base, ref.n_base);
                CHECK_INT(ref.kind, references[i].kind);
                CHECK_TEXT(base, references[i].base);
                CHECK(ref.text == references[i].text);
        }
        for (size_t i = 0; i < ELEMENTSOF(invalid); i++) {
                ImageRef ref;

                if (!CHECK_INT(image_ref_parse(invalid[i], &ref), -EINVAL))
                        fprintf(stderr, "\tthat is: '%s'\n", invalid[i]);
        }
}

static void test_missing(void)
{
        static const struct {
                const char *text, *said;
        } texts[] = {
                { "debian", "No image 'debian' in /store." },
                { "docker.io/library/alpine",
                  "'docker.io/library/alpine' is an OCI image, and there is none of that name here." },
                { "alpine:3", "'alpine:3' is an OCI image, and there is none of that name here." },
                { "oci:x", "'oci:x' is an OCI image, which cannot be taken from there yet." },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                ImageRef ref;

                CHECK_INT(image_ref_parse(texts[i].text, &ref), 0);
                _cleanup_free_ char *said = image_ref_describe_missing(&ref, "/store");
                CHECK_TEXT(said, texts[i].said);
        }
}

int main(void)
{
        test_kinds();
        test_missing();
        return test_end();
}

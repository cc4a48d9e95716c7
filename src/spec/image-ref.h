/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* References to images, as on a command line, in a machine file, or in a method of a bus. */

typedef enum ImageRefKind {
        IMAGE_REF_PATH, /* "/srv/tree", "./tree", "../tree": a directory or a disk of the host */
        /* "debian": a machine image of the store, or else an OCI image with this short name or ID */
        IMAGE_REF_NAME,
        IMAGE_REF_OCI,       /* "docker.io/library/alpine:3.20", "alpine@sha256:…": always an OCI image */
        IMAGE_REF_TRANSPORT, /* "oci:DIRECTORY", "docker://REFERENCE": with an explicit source */
        _IMAGE_REF_KIND_MAX,
} ImageRefKind;

typedef struct ImageRef {
        ImageRefKind kind;
        const char *text; /* the whole reference, borrowed from the caller */
        const char *rest; /* the part behind the transport, or the whole reference */
        /* the name for a machine that runs from the image: the last component of a path or of a repository,
         * without tag and digest */
        const char *base;
        size_t n_base; /* bytes of `base` */
} ImageRef;

/* Parses a reference. For OCI images, the grammar is that of github.com/distribution/reference. -EINVAL for
 * an invalid reference. */
int image_ref_parse(const char *text, ImageRef *ret);

/* Makes an error message for a reference to a missing image. `store` is the directory of machine images. The
 * caller frees the text. NULL when out of memory. */
char *image_ref_describe_missing(const ImageRef *ref, const char *store);

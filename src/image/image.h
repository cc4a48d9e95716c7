/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* The path of an image: of that name in the store, or the absolute path itself. The caller frees it. -ENOENT and
 * -ENOTDIR with a text in ret_error. */
int image_find(const char *image, char **ret_path, char **ret_error);

/* What the launcher must know of the tree of an image. Everything in it is the image's word. */
typedef struct ImageInfo {
        char *init;    /* as seen inside; NULL where there is none */
        char uuid[33]; /* of /etc/machine-id, "" where that is not set */
        bool has_localtime;
} ImageInfo;

void image_info_clear(ImageInfo *info);
#define _cleanup_image_info_ _cleanup_(image_info_clear)

/* Looks at a tree. What is not there is no error. */
int image_inspect(int root_fd, ImageInfo *ret);

/* Whether the directory that is open there is a subvolume of btrfs, and whether it is read-only: as a subvolume, or by the
 * immutable flag. */
bool image_is_subvolume(int image_fd);
bool image_is_read_only(int image_fd);

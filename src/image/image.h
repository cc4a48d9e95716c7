/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* The path of an image, a directory or a disk: of that name in the store, or the absolute path itself. The caller frees it. -ENOENT and
 * -ENOTDIR with a text in ret_error. */
int image_find(const char *image, char **ret_path, char **ret_error);

/* What an image is. */
#define IMAGE_RAW_SUFFIX ".raw"

typedef enum ImageType {
        IMAGE_DIRECTORY,
        IMAGE_SUBVOLUME, /* of btrfs */
        IMAGE_RAW,       /* a file with a disk in it, "NAME.raw" */
        IMAGE_BLOCK,     /* a disk, or part of one */
        IMAGE_STACK,     /* of layers, "NAME.stack"; see stack.h */
        _IMAGE_TYPE_MAX,
} ImageType;

/* "directory", "subvolume", "raw", "block", as org.freedesktop.machine1(5) has them, and "stack". */
const char *image_type_to_string(ImageType type);

/* Opens an image of a store with O_PATH and these flags, and says what it is, and what it is called there, which the caller
 * frees: NAME, NAME.raw or NAME.stack. -ENOENT. Both may be NULL. */
int image_open_in(int store_fd, const char *name, int flags, ImageType *ret_type, char **ret_file);

/* Whether an image can be given that name: it is valid, and none that the store has another meaning for. */
bool image_new_name_valid(const char *name) _pure_;

/* What the image is called that a file of a store has, without a look at it: "x" for "x.raw". The caller frees it. -EINVAL
 * where no image is called so. */
int image_name_from_file(const char *file, char **ret);

/* How what comes from a server is verified. */
typedef enum VerifyMode {
        VERIFY_DEFAULT, /* as the source has it, else by signature */
        VERIFY_NO,
        VERIFY_CHECKSUM,
        VERIFY_SIGNATURE,
        _VERIFY_MODE_MAX,
} VerifyMode;

/* "", "no", "checksum", "signature"; negative for none. */
int verify_mode_from_string(const char *s);

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

/* Whether the directory that is open there is a subvolume of btrfs, and whether an image is read-only: as a subvolume, by the
 * immutable flag of a directory, by the mode of a file. */
bool image_is_subvolume(int image_fd);
bool image_is_read_only(int image_fd);

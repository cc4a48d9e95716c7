/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* Returns the path of an image, which the caller frees. `image` is the name of an image in the store, or an
 * absolute path. All errors but -ENOMEM come with a text in ret_error. */
int image_find(const Scope *scope, const char *image, char **ret_path, char **ret_error);

/* The form of an image. */
typedef enum ImageType {
        IMAGE_DIRECTORY,
        IMAGE_SUBVOLUME, /* a subvolume of btrfs */
        IMAGE_RAW,       /* a file with a disk image, "NAME.raw" */
        IMAGE_BLOCK,     /* a disk, or a partition of a disk */
        IMAGE_STACK,     /* a stack of layers, "NAME.stack"; see stack.h */
        _IMAGE_TYPE_MAX,
} ImageType;

/* "directory", "subvolume", "raw" and "block" as in org.freedesktop.machine1(5), and "stack". */
const char *image_type_to_string(ImageType type);

/* Opens an image of a store with O_PATH and these flags. Returns its type, and its file name (NAME, NAME.raw
 * or NAME.stack), which the caller frees. Both may be NULL. -ENOENT if there is no such image. */
int image_open_in(int store_fd, const char *name, int flags, ImageType *ret_type, char **ret_file);

/* Whether an image may get this name: the name is valid, and the store does not use it for anything else. */
bool image_new_name_valid(const char *name) _pure_;

/* Derives the name of an image from the name of its file alone: "x" from "x.raw". The caller frees the name.
 * -EINVAL if no image can have such a file. */
int image_name_from_file(const char *file, char **ret);

/* Whether an init reports when the machine is up (READY=1 of sd_notify(3)). */
typedef enum InitReadiness {
        INIT_UNKNOWN,  /* an init that mctl does not know: it may report */
        INIT_NOTIFIES, /* systemd */
        INIT_SILENT,   /* the machine is up when the init has been started */
} InitReadiness;

/* Facts about the tree of an image that the launcher needs. All of them are read from the image, and are not
 * trusted. */
typedef struct ImageInfo {
        char *init;    /* path inside of the image, NULL without an init */
        char uuid[33]; /* from /etc/machine-id, "" if not set */
        InitReadiness readiness;
        unsigned systemd; /* the version of systemd, 0 if unknown: only versions before 252 are looked for */
        bool has_localtime;
        char *os; /* the name from os-release(5), or "" */
} ImageInfo;

void image_info_clear(ImageInfo *info);
#define _cleanup_image_info_ _cleanup_(image_info_clear)

/* Reads the facts. A missing file is no error. */
int image_inspect(int root_fd, ImageInfo *ret);

/* Whether a directory is a subvolume of btrfs, and whether an image is read-only. Read-only means the flag
 * of a subvolume, the immutable flag of a directory, or the mode of a file. */
bool image_is_subvolume(int image_fd);
bool image_is_read_only(int image_fd);

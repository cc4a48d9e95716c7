/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* A file system that is about to be mounted (fsopen(2)). The context keeps the first failure and skips all
 * later steps, so the caller checks only the last step. */
typedef struct FsContext {
        int fd;
        int r;
} FsContext;

/* Opens a context. The caller clears the context, also after a failure. */
FsContext fs_context_open(const char *type);
void fs_context_clear(FsContext *context);
#define _cleanup_fs_context_ _cleanup_(fs_context_clear)

/* Set options of the file system. fs_context_set() sets one option; if the value is NULL, the option is a
 * flag. fs_context_set_all() takes several options, "key=value" or flags, separated by commas as for
 * mount(8). */
void fs_context_set(FsContext *context, const char *key, const char *value);
void fs_context_set_all(FsContext *context, const char *options);

/* Creates the file system. */
int fs_context_create(FsContext *context);

/* Mounts the file system with attributes (MOUNT_ATTR_…), but attaches it nowhere. Returns a descriptor. */
int fs_context_mount(FsContext *context, unsigned attr);

/* Returns the kernel's own text about the failure, or else the text of the errno. The caller frees the text.
 * NULL when out of memory. */
char *fs_context_error(const FsContext *context);

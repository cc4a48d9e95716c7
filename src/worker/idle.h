/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store.h"
#include "worker/job.h"

/* Checks whether an image is in use: by a machine that runs from it, by a mount on the host, or as the base
 * of a stack. On failure, ret_error may get a text, which the caller frees. */

/* Returns -EBUSY if the image is mounted on a directory of the host. */
int image_check_mounts(int store_fd, const char *name, char **ret_error);

/* Returns -EBUSY if something is mounted on the host below the tree of the image. Such a mount is not part
 * of the image, and hides files that are. */
int image_check_inner_mounts(int store_fd, const char *name, char **ret_error);

/* Returns -EBUSY if the image is the base of a stack. */
int image_check_base(int store_fd, const char *name, char **ret_error);

/* Decides how an image can share its contents with another image. `flags` get STORE_COPY if a machine runs
 * from the directory: such a directory must not be converted to a stack. -EBUSY if a machine writes to the
 * stack, or if the image needs no copy and is mounted on the host. The caller holds the lock of
 * run_dir_lock(). */
int image_prepare_sharing(int run_fd, int store_fd, const char *name, int image_fd, ImageType type,
                          unsigned *flags, char **ret_error);

/* Locks an image whose contents another image will share. -EBUSY if a machine writes to the image, if a
 * machine runs from the directory, or if another program holds the lock. The caller holds the lock of
 * run_dir_lock(). */
int image_lock_source(const Scope *scope, int run_fd, const char *name, StoreLock *ret, char **ret_error);

/* Opens the image, and then takes the lock of run_dir_lock(), which each start of a machine needs. If the
 * file system of the image hangs, the worker hangs without the lock, and other starts go on. */
int image_lock_starts(const Scope *scope, int run_fd, const char *name);

/* Calls `change`, and returns its result. During the call, the lock of run_dir_lock() keeps machines from
 * starting from the image. -EBUSY if the image is in use already. */
int while_idle(const Scope *scope, const char *name,
               int (*change)(int store_fd, const char *name, void *userdata), int store_fd, void *userdata,
               char **ret_error);

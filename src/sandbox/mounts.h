/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* The place where steps are carried out. */
typedef struct Site {
        const Scope *scope;
        int root_fd;   /* the tree, attached in the caller's mount namespace */
        int image_fd;  /* the image as it is on disk; for sources with "+" */
        int userns_fd; /* user namespace of the machine; negative if owners are not mapped */
        uid_t base;    /* root of the container, as a user ID in the caller's user namespace */
} Site;

/* The stage, a directory in the runtime directory: a private tmpfs there holds mounts that need a path for a
 * moment. */
#define STAGE "stage"

/* Makes a mount namespace whose mounts have this propagation (MS_…) from the host, and mounts a tmpfs on the
 * stage. Returns the tmpfs. */
int mounts_enter_stage(const Scope *scope, unsigned propagation);

/* Attaches a tree on the stage, and returns the path. The caller frees the path. */
int mounts_stage(const Scope *scope, int tree_fd, char **ret_path);

/* Carries out steps of a plan. On failure, ret_step is the step. */
int mounts_carry_out(const Step *steps, size_t n, const Site *site, const Step **ret_step);

/* Makes an overlay: `lower` are the paths of the lower layers, topmost first; `upper` and `work` may be
 * NULL. Files that the kernel makes belong to `owner`. Returns a detached tree. */
int mounts_make_overlay(const Strv lower, const char *upper, const char *work, uid_t owner);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* Where steps are carried out. */
typedef struct Site {
        const Scope *scope;
        int root_fd;   /* the tree, attached in the caller's mount namespace */
        int image_fd;  /* the image as it is on disk; for "+" sources */
        int userns_fd; /* of the machine; negative where owners are not mapped */
        uid_t base;    /* root of the container, as the caller's user namespace numbers it */
} Site;

/* In the runtime directory: where what must have a path meanwhile is mounted, on a tmpfs that nobody else
 * sees. */
#define STAGE "stage"

/* Makes a mount namespace, with that propagation (MS_…) from the host's, and a tmpfs on the stage in it.
 * Returns the tmpfs. */
int mounts_enter_stage(const Scope *scope, unsigned propagation);

/* Attaches a tree somewhere on the stage, and says where. The caller frees the path. */
int mounts_stage(const Scope *scope, int tree_fd, char **ret_path);

/* Carries out steps of a plan. On failure, ret_step is the step. */
int mounts_carry_out(const Step *steps, size_t n, const Site *site, const Step **ret_step);

/* Mounts layers on top of each other: `lower` are paths, topmost first; upper and work may be NULL. What
 * the kernel makes belongs to `owner`. Returns a detached tree. */
int mounts_make_overlay(const Strv lower, const char *upper, const char *work, uid_t owner);

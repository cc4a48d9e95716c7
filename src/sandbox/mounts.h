/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "sandbox/plan.h"

/* Where steps are carried out. */
typedef struct Site {
        int root_fd;   /* the tree, attached in the caller's mount namespace */
        int image_fd;  /* the image as it is on disk; for "+" sources */
        int userns_fd; /* of the machine; negative where owners are not mapped */
        uid_t base;    /* root of the container, as the caller's user namespace numbers it */
} Site;

/* Where what must have a path meanwhile is mounted, on a tmpfs that nobody else sees. */
#define STAGE_DIR "/run/mctl/stage"

/* Makes a mount namespace, with that propagation (MS_…) from the host's, and a tmpfs on STAGE_DIR in it. Returns the tmpfs. */
int mounts_enter_stage(unsigned propagation);

/* Attaches a tree somewhere below STAGE_DIR, and says where. The caller frees the path. */
int mounts_stage(int tree_fd, char **ret_path);

/* Carries out steps of a plan. On failure, ret_step is the step. */
int mounts_carry_out(const Step *steps, size_t n, const Site *site, const Step **ret_step);

/* Mounts layers on top of each other: `lower` are paths, topmost first; upper and work may be NULL. What
 * the kernel makes belongs to `owner`. Returns a detached tree. */
int mounts_make_overlay(const Strv lower, const char *upper, const char *work, uid_t owner);

/* An empty tmpfs, mounted nowhere. `options` are as for mount(8), or NULL. */
int mounts_make_tmpfs(mode_t mode, uid_t owner, const char *options, unsigned attr);

/* A copy of the tree at `path`, which follows links, with all that is mounted below it; attached nowhere. Returns a
 * descriptor. */
int mounts_clone_path(int dir_fd, const char *path);

/* Changes attributes, propagation (MS_…, 0 for none) and, with userns_fd not negative, the id mapping of the tree
 * behind a descriptor. */
int mounts_set_attr(int tree_fd, unsigned set, unsigned propagation, int userns_fd);

/* Puts a detached tree on top of what target_fd points to. */
int mounts_attach(int tree_fd, int target_fd);

/* The name of the file system behind a descriptor, as well as statfs(2) can tell; for errors. */
const char *mounts_fs_name(int fd);

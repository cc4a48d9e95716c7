/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* The tree of an image. */
typedef struct Tree {
        char id[33]; /* for the record: see Record.tree */
        int fd; /* the tree as it is on disk. For a stack, an overlay without ID map, which is only for a
                   short look */
        int *layers; /* layers of a stack, opened with O_PATH, the topmost first */
        size_t n_layers;
        size_t n_uppers; /* number of first layers with a directory "upper"; the other layers are trees
                            themselves */
        bool read_only;  /* nobody can write to the file system of the image */
        bool disk;       /* the tree may have mounts of other partitions */
} Tree;

#define TREE_NONE ((Tree){ .fd = -EBADF })

/* Closes the descriptors of a tree. */
void tree_close(Tree *tree);
#define _cleanup_tree_ _cleanup_(tree_close)

/* Makes a mount namespace, in which the image is available as a tree: a directory is a tree already, a disk
 * is mounted, and the layers of a stack are opened. Mounts of the launcher vanish with the launcher, unless
 * the child has copied them. Mounts of the host appear in the namespace, and no mount in it appears on the
 * host. A failure has a text, as in basic/failure.h. */
int tree_open(const Scope *scope, const Spec *spec, const char *path, int run_fd, Tree *ret,
              char **ret_error);

/* Closes the tree for looking, which is no longer needed. */
void tree_looked(Tree *tree);

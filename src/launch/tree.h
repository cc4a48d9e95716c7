/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* An image as a tree. */
typedef struct Tree {
        char id[33]; /* for the record: see Record.tree */
        int fd; /* the tree as it is on disk; of a stack, which is mounted where owners are known, only for
                   looking, and not for long */
        int *layers; /* of a stack: O_PATH, the topmost first, */
        size_t n_layers;
        size_t n_uppers; /* these have a directory "upper", the others are trees themselves */
        bool read_only;  /* nobody can write to its file system */
        bool disk;       /* other partitions are mounted in the tree, maybe */
} Tree;

#define TREE_NONE ((Tree){ .fd = -EBADF })

/* Closes what is open in it. */
void tree_close(Tree *tree);
#define _cleanup_tree_ _cleanup_(tree_close)

/* Takes a mount namespace of our own, in which the image is to be had as a tree: a directory is one, a disk
 * is mounted out of the way, the layers of a stack are opened. What we attach is ours until the child takes
 * its copy, and goes when we go; mounts of the host reach us, none of ours reaches the host. Failures
 * have a text, as basic/failure.h has them. */
int tree_open(const Scope *scope, const Spec *spec, const char *path, int run_fd, Tree *ret,
              char **ret_error);

/* What was opened for looking is not needed any more. */
void tree_looked(Tree *tree);

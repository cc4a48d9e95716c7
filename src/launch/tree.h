/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* Takes a mount namespace of our own, in which the image is to be had as a tree: a directory is one, a disk is mounted out of the way.
 * What we attach is ours until the child takes its copy, and goes when we go; mounts of the host reach us, none of ours reaches the
 * host. Returns a descriptor of the tree; errors are logged. */
int tree_open(const Spec *spec, const char *path, int run_fd);

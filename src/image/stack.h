/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/overlay.h"
#include "basic/str.h"
#include "basic/tree.h"

/* Images that are made of layers, NAME.stack: what was changed, over what others have too. So a copy takes no time, whatever the
 * size and the file system.
 *
 * NAME.stack is a directory with a manifest and nothing else. Layers are beside the images, in LAYERS_DIR, each a directory
 * of a random name with "upper", a tree as overlayfs keeps it (Documentation/filesystems/overlayfs.rst), and "work". Of a stack, the
 * first is written to and belongs to it alone; the others are never written to again, and may be in many stacks and
 * snapshots. Below all of them can be a base: an image of the store that is a directory, and is not written to as long
 * as a stack is over it.
 *
 * A directory that is copied becomes a stack itself, whose lowest layer it was; one that nobody writes to, since it is read-only, stays what it
 * is, as a base.
 *
 * One write of a manifest is what changes a stack. A layer that no manifest names is nobody's, and is swept away. */

#define LAYERS_DIR   ".#mctl.layers"
#define LAYERS_MAX   OVERLAY_LAYERS_MAX
#define STACK_SUFFIX ".stack"

/* What a tree is made of. */
typedef struct Layers {
        Strv ids;            /* of layers, the topmost first; may be NULL, where there is a base */
        char *base;          /* the name of an image, or NULL */
        uint64_t base_inode; /* of its directory: one that came in its place is not it */
} Layers;

void layers_clear(Layers *layers);
#define _cleanup_layers_ _cleanup_(layers_clear)

/* Makes a copy, without the first `skip` layers, in what is empty. */
int layers_copy(Layers *to, const Layers *from, size_t skip);

typedef struct Snapshot {
        char *name;
        uint64_t time; /* µs since 1970 */
        Layers layers;
} Snapshot;

void snapshots_free(Snapshot *snapshots, size_t n);

typedef struct Stack {
        Layers layers;
        char *becomes; /* the name that it is to have, where what had it is one of its layers already; or NULL */
        Snapshot *snapshots; /* the oldest first */
        size_t n_snapshots;
} Stack;

void stack_clear(Stack *stack);
#define _cleanup_stack_ _cleanup_(stack_clear)

/* Reads the manifest in the directory of a stack. -EBADMSG for one that is not as we write them. */
int stack_read(int stack_fd, Stack *ret);

/* Writes it: at once, or not at all, and on disk when that returns. -E2BIG for too many snapshots. */
int stack_write(int stack_fd, const Stack *stack);

/* Everything below is done under this lock, which the descriptor that is returned holds. It waits. */
int stack_lock(int store_fd);

/* Puts a new layer on top of all, which has a root like that of what is below, and of which nobody has written a manifest yet. What is written to it is
 * counted as what was written to the first of `own` is, unless that is NULL: quota.h. */
int layers_push(int store_fd, Layers *layers, const Layers *own);

/* Opens the directory of the first layer. */
int layers_open_first(int store_fd, const Layers *layers);

/* Makes a new layer of a directory of the store, which has no name there any more afterwards: so the stack that is to have its name, with a layer
 * on top of it, is made first. Returns that under its hidden name, which the caller is to rename to NAME.stack. */
int stack_convert(int store_fd, const char *name, Stack *ret, char **ret_hidden);

/* It has its name: so nobody is to give it that again. */
int stack_has_become(int store_fd, const char *file, Stack *stack);

/* Whoever was killed between these two is helped: what is to have a name has it. */
int stack_recover(int store_fd);

/* It is to be destroyed: under a hidden name, it is no stack any more. */
int stack_unmark(int stack_fd);

/* For a copy of the first layer, which somebody is writing to: makes a new layer for it, and a hidden stack that keeps what a snapshot with it would
 * have, so that nobody sweeps that while the copy is made. The caller frees both, and destroys the stack. */
int layers_reserve(int store_fd, const Layers *layers, Layers *ret, char **ret_hidden);

/* Makes that copy, which takes its time: not under the lock. `copy` says what it could not copy. */
int layers_fill(int store_fd, const Layers *layers, const char *id, TreeCopy *copy);

/* Whether nothing was written to the first layer, and there is something below it: then that need not be shared. */
bool layers_are_clean(int store_fd, const Layers *layers);

/* Makes the directory of a new stack under a hidden name, which the caller frees, and writes its manifest: all of which the caller syncs, before it gets
 * its own name. */
int stack_make(int store_fd, const Stack *stack, char **ret_hidden);

/* Opens what a tree consists of with O_PATH: the directory of each layer, and the base behind them. The caller frees the array, and closes what is
 * in it. -ESTALE where the base is gone, or another one. */
int layers_open(int store_fd, const Layers *layers, int **ret, size_t *ret_n);
void layers_close(int *layers, size_t n);

/* Mounts a tree, attached nowhere: for reading, or with `writable` with its first layer to be written to. Owners are as they are on disk. */
int layers_mount(int store_fd, const Layers *layers, bool writable);

/* Calls for each stack of the store, with its name, and for those that are hidden still. What that returns ends it, and is returned, unless it
 * is 0. */
int stack_each(int store_fd, int (*call)(void *userdata, const char *name, const Stack *stack),
               void *userdata);

/* Whether a directory is the base of a stack: 1, and its name where ret_name is not NULL, which the caller frees. */
int stack_find_user(int store_fd, uint64_t inode, char **ret_name);

/* Takes what no manifest names out of the way, under hidden names of the store, which are appended to ret_hidden, and are the caller's
 * to destroy. Nothing is done where a manifest cannot be read. */
int stack_sweep(int store_fd, Strv *ret_hidden);
